// Starts Azurite and ends it with the process that holds the other end of standard input, however that process ends.
process.stdin.resume().on("end", () => process.exit(0)).on("error", () => process.exit(0));
process.stdin.unref();
require("azurite/dist/src/azurite.js");
