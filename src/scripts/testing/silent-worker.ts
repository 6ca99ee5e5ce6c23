/** A script's thread that ends without an answer, for tests. */
process.exit(3);
