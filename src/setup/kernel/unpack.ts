/** Decompresses kernels and modules with the usual programs. Untrusted files are decompressed in a jail. */
import { AppError } from '../../core/errors.ts';
import { filtered } from '../../lib/filter.ts';
import { JailError, runJailed } from '../../lib/jail.ts';
import { run } from '../../lib/process.ts';
import type { Environment } from '../context.ts';

export type Compression = 'gzip' | 'xz' | 'zstd' | 'lz4';

/** How programs that process a kernel's files are run. */
export interface ToolContext {
  readonly env: Environment;
  readonly signal: AbortSignal;
  /** The origin of the files: `signed` by the distribution and checked by apt, or `hostile`: from anyone. */
  readonly trust: 'signed' | 'hostile';
}

const toolMs = 60_000;

/** zstd and lz4 may use threads; xz stays within the memory that the kernel's build requires. */
const programs: Readonly<
  Record<Compression, { readonly args: readonly string[]; readonly threadsMax: number }>
> = {
  gzip: { args: ['-d', '-c', '-q'], threadsMax: 1 },
  xz: { args: ['-d', '-c', '-q', '--threads=1', '--memlimit-decompress=512MiB'], threadsMax: 1 },
  zstd: { args: ['-d', '-c', '-q', '--single-thread'], threadsMax: 4 },
  lz4: { args: ['-d', '-c', '-q'], threadsMax: 4 },
};

/** Raises `unsupported` beyond `bytesMax`, and ProcessError for damaged data. */
export async function* unpacked(
  compression: Compression,
  packed: AsyncIterable<Uint8Array>,
  bytesMax: number,
  { env, signal, trust }: ToolContext,
): AsyncIterable<Buffer> {
  const { args, threadsMax } = programs[compression];
  const chunks = filtered(packed, signal, (streams) => {
    const options = { ...streams, env, timeoutMs: toolMs };
    if (trust === 'signed') return run(compression, args, { ...options, isBoundToUs: true });
    // It only reads from us and writes to us.
    return runJailed(compression, args, { ...options, cwd: '/', threadsMax, fileBytesMax: 0 }).catch(refused);
  });
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new AppError('unsupported', `it unpacks to more than ${bytesMax} bytes`);
    yield chunk;
  }
}

function refused(error: unknown): never {
  if (!(error instanceof JailError)) throw error;
  throw new AppError('unsupported', 'this host has no jail to unpack a kernel in', { cause: error });
}
