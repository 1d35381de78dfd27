"""XMem and XMem++."""
