/** What can be exported, by the server's names. */

/**
 * Name of the render, text, groups of its own options, and those of them that it does not have.
 * @type {{ name: string, text: string, groups: string[], without?: string[] }[]}
 */
export const RENDERS = [
  { name: "greenback", text: "Green screen", groups: ["edges", "greenback"] },
  { name: "alpha", text: "Cut-out with alpha", groups: ["edges", "alpha"] },
  { name: "maskvideo", text: "Mask video", groups: ["edges", "maskvideo"] },
  { name: "overlay", text: "Overlay for review", groups: ["edges", "overlay"] },
  {
    name: "package", text: "Package for a program",
    groups: ["edges", "greenback", "alpha", "package"], without: ["background"],
  },
];

/** Editing programs that packages are made for. */
export const PROGRAMS = [
  ["premiere", "Adobe Premiere Pro"],
  ["aftereffects", "Adobe After Effects"],
  ["resolve", "DaVinci Resolve"],
  ["finalcut", "Final Cut Pro"],
  ["capcut", "CapCut"],
  ["web", "Web pages"],
];
