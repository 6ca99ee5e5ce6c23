module launch-shim

go 1.19
