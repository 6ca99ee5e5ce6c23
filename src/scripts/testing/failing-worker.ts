/** A script's thread that fails, for tests. */
throw new Error('a fault of the engine');
