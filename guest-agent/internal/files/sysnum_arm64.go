package files

// The frozen syscall package lacks it.
const sysRenameat2 = 276

// Writes back the file system of a descriptor.
const sysSyncfs = 267
