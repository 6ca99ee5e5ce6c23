package system

// The frozen syscall package lacks it.
const sysFinitModule = 273
