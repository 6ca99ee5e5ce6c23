package files

// The frozen syscall package lacks it.
const sysRenameat2 = 316

// Writes back the file system of a descriptor.
const sysSyncfs = 306
