/** The benchmarks that `flotilla bench` has. Apart from them, so that the command line knows the names without loading them. */
export const benchNames = [
  'boot',
  'start',
  'exec',
  'files',
  'api',
  'dialects',
  'hostile',
  'net',
  'proxy',
  'quota',
  'snapshot',
  'fork',
  'density',
] as const;
export type BenchName = (typeof benchNames)[number];
