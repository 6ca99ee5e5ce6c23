package system

// The syscall package is frozen and does not name it.
const sysFinitModule = 273
