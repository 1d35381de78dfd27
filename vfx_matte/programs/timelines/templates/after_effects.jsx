// File > Scripts > Run Script File... in After Effects. Imports the files of this package and builds a composition:
// the source at the bottom with its sound, and above it the source again, cut out by its matte. Put titles in between.
(function (PACKAGE) {
    // A script may have moved with its folder: look beside it first, then where the file was when the package was made.
    function located(media) {
        var places = [], i, file;
        if (media.relative) {
            places.push(new File($.fileName).parent.absoluteURI + "/" + media.relative);
        }
        places.push(media.path);
        for (i = 0; i < places.length; i++) {
            file = new File(places[i]);
            if (file.exists) {
                return file;
            }
        }
        return File.openDialog("Where is " + media.file + "?");
    }

    function imported(media, folder) {
        var file = located(media), footage;
        if (!file) {
            throw new Error("There is no file " + media.file + ".");
        }
        footage = app.project.importFile(new ImportOptions(file));
        footage.name = media.name;
        footage.parentFolder = folder;
        if (footage.mainSource.hasAlpha && media.alpha !== "none") {
            footage.mainSource.alphaMode = media.alpha === "straight" ? AlphaMode.STRAIGHT : AlphaMode.PREMULTIPLIED;
        }
        if (Math.abs(footage.frameRate - PACKAGE.rate[0] / PACKAGE.rate[1]) > 0.01) {
            warnings.push(media.name + " is read at " + footage.frameRate + " frames a second");
        } else if (Math.round(footage.duration * PACKAGE.rate[0] / PACKAGE.rate[1]) < media.frames) {  // sound may be longer
            warnings.push(media.name + " is read with " + footage.duration + " s, expected " + media.frames + " frames");
        }
        return footage;
    }

    // Since After Effects 23 a layer names its matte; before, it was always the layer above.
    function cutOut(layer, matte, kind) {
        if (typeof layer.setTrackMatte === "function") {
            layer.setTrackMatte(matte, kind);
        } else {
            layer.trackMatteType = kind;
        }
        matte.enabled = false;
    }

    function build() {
        var folder = app.project.items.addFolder(PACKAGE.name), footage = [], i, pair, comp, layer, matte;
        for (i = 0; i < PACKAGE.media.length; i++) {
            footage.push(imported(PACKAGE.media[i], folder));
        }
        comp = app.project.items.addComp(PACKAGE.name, PACKAGE.width, PACKAGE.height,
            PACKAGE.pixelAspect[0] / PACKAGE.pixelAspect[1], PACKAGE.frames * PACKAGE.rate[1] / PACKAGE.rate[0],
            PACKAGE.rate[0] / PACKAGE.rate[1]);
        comp.frameDuration = PACKAGE.rate[1] / PACKAGE.rate[0];
        comp.duration = PACKAGE.frames * comp.frameDuration;
        comp.displayStartTime = 0;
        comp.parentFolder = folder;
        layer = comp.layers.add(footage[PACKAGE.background]);
        layer.name = "background";
        for (i = 0; i < PACKAGE.layers.length; i++) {
            pair = PACKAGE.layers[i];
            layer = comp.layers.add(footage[pair.fill]);
            layer.name = pair.name;
            if (layer.hasAudio) {
                layer.audioEnabled = false;
            }
            if (pair.matte !== null) {
                matte = comp.layers.add(footage[pair.matte]);
                matte.name = pair.name + " matte";
                cutOut(layer, matte, TrackMatteType.LUMA);
            }
        }
        comp.openInViewer();
    }

    var warnings = [];
    app.beginUndoGroup("vfx-matte: " + PACKAGE.name);
    try {
        build();
    } catch (error) {
        warnings.push(error.message);
    } finally {
        app.endUndoGroup();
    }
    if (warnings.length) {
        alert("vfx-matte:\n" + warnings.join("\n"));
    }
}(__PACKAGE__));
