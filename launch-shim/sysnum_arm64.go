package main

// sysSetns is missing in the syscall package.
const sysSetns = 268
