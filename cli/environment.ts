/** The environment, as it is handed to whoever reads it. */
export type Environment = Readonly<Record<string, string | undefined>>;
