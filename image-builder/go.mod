module image-builder

go 1.19
