// A small After Effects for tests: keeps what a script makes of it. FACTS: files (decoded path: {fps, duration, hasAlpha,
// hasAudio}), script (its own path), version (23 has setTrackMatte), dialog (what openDialog answers).
var log = { alerts: [], undo: [], asked: [], viewer: null };
var AlphaMode = { STRAIGHT: "straight", PREMULTIPLIED: "premultiplied" };
var TrackMatteType = { LUMA: "luma", ALPHA: "alpha" };
var $ = { fileName: FACTS.script };

function alert(text) { log.alerts.push(text); }

function File(path) {
    this.path = decodeURIComponent(path);
    var parts = [], i, all = this.path.split("/");
    for (i = 0; i < all.length; i++) {
        if (all[i] === "..") { parts.pop(); } else if (all[i] !== "." && (all[i] || !i)) { parts.push(all[i]); }
    }
    this.path = parts.join("/");
    this.exists = FACTS.files.hasOwnProperty(this.path);
    if (this.path.indexOf("/") >= 0) {
        this.parent = { absoluteURI: encodeURI(this.path.substring(0, this.path.lastIndexOf("/"))) };
    }
}
File.openDialog = function (question) { log.asked.push(question); return FACTS.dialog ? new File(FACTS.dialog) : null; };

function ImportOptions(file) { this.file = file; }

function Footage(file) {
    var facts = FACTS.files[file.path];
    this.file = file.path;
    this.frameRate = facts.fps;
    this.duration = facts.duration;
    this.hasAudio = facts.hasAudio;
    this.mainSource = { hasAlpha: facts.hasAlpha, alphaMode: "guess" };
}

function Layer(source) {
    this.source = source;
    this.name = source.name;
    this.enabled = true;
    this.hasAudio = source.hasAudio;
    this.audioEnabled = source.hasAudio;
    this.trackMatteType = null;
    this.matte = null;
    if (FACTS.version >= 23) {
        this.setTrackMatte = function (layer, kind) { this.matte = layer; this.trackMatteType = kind; };
    }
}

function Comp(name, width, height, pixelAspect, duration, frameRate) {
    this.name = name; this.width = width; this.height = height; this.pixelAspect = pixelAspect;
    this.duration = duration; this.frameRate = frameRate; this.frameDuration = 1 / frameRate;
    var stack = this.stack = [];
    this.layers = { add: function (item) { var layer = new Layer(item); stack.unshift(layer); return layer; } };
    this.openInViewer = function () { log.viewer = name; };
}

var app = {
    folders: [], footage: [], comps: [],
    beginUndoGroup: function (name) { log.undo.push("begin " + name); },
    endUndoGroup: function () { log.undo.push("end"); },
    project: {
        importFile: function (options) { var made = new Footage(options.file); app.footage.push(made); return made; },
        items: {
            addFolder: function (name) { var made = { name: name }; app.folders.push(made); return made; },
            addComp: function (name, width, height, aspect, duration, rate) {
                var made = new Comp(name, width, height, aspect, duration, rate); app.comps.push(made); return made;
            }
        }
    }
};

// The layer that a layer is cut out by: named since version 23, before that the one above it.
function matteOf(stack, i) {
    if (!stack[i].trackMatteType) { return null; }
    var matte = FACTS.version >= 23 ? stack[i].matte : stack[i - 1];
    return [matte.source.file, stack[i].trackMatteType];
}

function report() {
    var i, j, layers = [], comps = [], footage = [], stack;
    for (i = 0; i < app.footage.length; i++) {
        footage.push([app.footage[i].file, app.footage[i].name, app.footage[i].mainSource.alphaMode]);
    }
    for (i = 0; i < app.comps.length; i++) {
        stack = app.comps[i].stack;
        layers = [];
        for (j = 0; j < stack.length; j++) {
            layers.push([stack[j].source.file, stack[j].enabled, stack[j].audioEnabled, matteOf(stack, j)]);
        }
        comps.push({ name: app.comps[i].name, width: app.comps[i].width, height: app.comps[i].height,
            pixelAspect: app.comps[i].pixelAspect, duration: app.comps[i].duration, frameRate: app.comps[i].frameRate,
            frameDuration: app.comps[i].frameDuration, start: app.comps[i].displayStartTime, layers: layers });
    }
    return { log: log, footage: footage, comps: comps, folders: app.folders.length };
}
