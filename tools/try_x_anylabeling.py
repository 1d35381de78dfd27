"""Clicks through X-AnyLabeling's own window, offscreen, with vfx-matte as its remote server.

    python -m venv /tmp/xany && /tmp/xany/bin/pip install x-anylabeling-cvhub
    vfx-matte serve --token-file token.txt
    /tmp/xany/bin/python tools/try_x_anylabeling.py PICTURES X Y token.txt http://127.0.0.1:8000

Runs in the environment of X-AnyLabeling (4.2, PyQt6), not in that of vfx-matte. PICTURES is a
folder of a clip's pictures; the click is at X, Y of the first one. Does what docs/serve.md tells a
user to do, prints what was seen on the way, and leaves pictures of the window and the settings in a
folder of its own. The program's JSON files are written beside the pictures, as it always does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
LABEL = "object"


class Window:
    """X-AnyLabeling's window, and somebody who presses OK wherever it asks.

    Args:
        folder: for its settings and for pictures of it.
        url: the server's address.
        token: the server's secret.
    """

    def __init__(self, folder: Path, url: str, token: str) -> None:
        # the program's modules ask for its settings as they are loaded
        import anylabeling.config as settings
        from PyQt6 import QtCore, QtWidgets

        self.folder = folder
        settings.set_work_directory(str(folder))
        file = folder / ".xanylabelingrc"
        known = {"server_url": url, "api_key": token}
        file.write_text(json.dumps({"remote_server_settings": known, "auto_save": True}))
        settings.current_config_file = str(file)
        QtCore.QCoreApplication.setAttribute(QtCore.Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
        self.app = QtWidgets.QApplication(sys.argv[:1])
        import anylabeling.resources.resources  # noqa: F401  icons and models are found by it
        from anylabeling.views.labeling.utils import batch, theme
        from anylabeling.views.labeling.widgets.auto_labeling import auto_labeling
        from anylabeling.views.mainwindow import MainWindow

        theme.init_theme("light")
        accepted = QtWidgets.QDialog.DialogCode.Accepted
        auto_labeling.RemoteServerDialog.exec = lambda _: accepted
        batch.BatchRangeDialog.exec = lambda _: accepted
        self.window = MainWindow(self.app, config=settings.get_config(str(file), {}))
        self.window.resize(1400, 900)
        self.window.show()
        self.wait(2)
        self.view = self.window.labeling_widget.view
        self.controls = self.view.auto_labeling_widget

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let the program work for so long, or until something holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            self.app.processEvents()
            time.sleep(0.02)

    def shapes(self) -> list[str]:
        """What is drawn on the picture."""
        return [f"{shape.label} ({shape.shape_type})" for shape in self.view.canvas.shapes]

    def choose_server(self, pictures: Path) -> None:
        """Open the pictures, and choose the remote server among the models."""
        self.view.import_image_folder(str(pictures))
        self.wait(3)
        self.controls.show()
        name = next(name for name in self.controls.model_info if "remote_server" in name)
        self.controls.on_model_selected("CVHub", name)
        boxes = {
            "models": self.controls.remote_server_select_combobox,
            "tasks": self.controls.remote_task_select_combobox,
        }
        self.wait(20, lambda: boxes["models"].count() > 0)
        for title, box in boxes.items():
            print(f"{title}:", [box.itemText(index) for index in range(box.count())])

    def click(self, x: int, y: int) -> None:
        """Click on the object, in pixels of the picture, and wait for its outline."""
        from PyQt6 import QtCore
        from PyQt6.QtTest import QTest

        self.controls.button_add_point.click()
        self.wait(1)
        canvas = self.view.canvas
        offset = canvas.offset_to_center()
        at = (QtCore.QPointF(x + offset.x(), y + offset.y()) * canvas.scale).toPoint()
        QTest.mouseMove(canvas, at)
        self.wait(0.2)
        QTest.mouseClick(canvas, QtCore.Qt.MouseButton.LeftButton, pos=at)
        self.wait(60, lambda: any("AUTOLABEL_OBJECT" in one for one in self.shapes()))
        print("after the click:", self.shapes())
        self.window.grab().save(str(self.folder / "clicked.png"))

    def finish(self) -> None:
        """Give the object its label."""
        self.view.label_dialog.pop_up = lambda **_: (LABEL, {}, None, "", False, [])
        self.controls.button_finish_object.click()
        self.wait(2)
        print("finished:", self.shapes())

    def track(self) -> dict[str, list[tuple[str, int | None]]]:
        """Run on all pictures; what is in their files then: name → label and group of each
        polygon. An object of several parts has as many polygons, of one group.
        """
        from anylabeling.views.labeling.utils import batch

        batch.run_all_images(self.view)
        files = [Path(name).with_suffix(".json") for name in self.view.image_list]
        self.wait(120, files[-1].exists)
        self.wait(2)
        self.window.grab().save(str(self.folder / "tracked.png"))
        return {
            one.name: [
                (shape["label"], shape.get("group_id"))
                for shape in json.loads(one.read_text())["shapes"]
            ]
            if one.exists()
            else []
            for one in files
        }


def is_once(shapes: list[tuple[str, int | None]]) -> bool:
    """Whether a picture shows the object once: a polygon, or several of one group."""
    groups = [group for label, group in shapes if label == LABEL]
    return len(groups) == 1 or (len(groups) > 1 and None not in groups and len(set(groups)) == 1)


def main() -> int:
    """Click through it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("x", type=int)
    parser.add_argument("y", type=int)
    parser.add_argument("token", type=Path)
    parser.add_argument("url")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="x-anylabeling-"))
    print(f"pictures of the window: {folder}")
    window = Window(folder, given.url, given.token.read_text().strip())
    window.choose_server(given.pictures)
    window.click(given.x, given.y)
    window.finish()
    found = window.track()
    for name, shapes in found.items():
        print(name, shapes)
    is_done = all(is_once(shapes) for shapes in found.values())
    print("every picture has the object once" if is_done else "not as it should be")
    sys.stdout.flush()
    # its threads and windows would ask whether to save
    os._exit(0 if is_done else 1)


if __name__ == "__main__":
    sys.exit(main())
