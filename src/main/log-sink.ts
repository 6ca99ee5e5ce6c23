/**
 * Where the daemon's log lines go: a file descriptor whose reader may be gone or whose disk may be full. A line that
 * cannot be written is dropped, since a daemon that waits or ends for its log would be worse than a gap in it; how many
 * were dropped is said as soon as lines can be written again.
 */
import { copyFileSync, fstatSync, ftruncateSync, statSync, writeSync } from 'node:fs';

/** Twice this is the most that the log and the one before it take. */
const logBytesMax = 32 * 1024 * 1024;

export interface LogSink {
  /** Takes one line with its line feed; never throws. */
  write(line: string): void;
}

/**
 * `bound` is for a log file of ours that `fd` appends to: full, it is copied to `<path>.1` and begun anew. Where `fd` is
 * something else (a terminal, a pipe, another file), whoever opened it looks after it.
 */
export function logSink(fd: number, bound?: { readonly path: string; readonly bytesMax?: number }): LogSink {
  const isBounded = bound !== undefined && isFile(fd, bound.path);
  let size = isBounded ? fstatSync(fd).size : 0;
  let dropped = 0;
  /** The last write ended within a line. */
  let isLineOpen = false;

  const put = (text: string): boolean => {
    const bytes = Buffer.from(isLineOpen ? `\n${text}` : text);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(fd, bytes, written);
    } catch {
      // The caller counts it; what failed can be told nowhere else.
    }
    if (written > 0) isLineOpen = bytes[written - 1] !== 0x0a;
    size += written;
    return written === bytes.length;
  };

  return {
    write(line) {
      if (dropped > 0) {
        const gap = { level: 40, time: Date.now(), dropped, msg: 'log lines could not be written' };
        if (!put(`${JSON.stringify(gap)}\n`)) {
          dropped += 1;
          return;
        }
        dropped = 0;
      }
      if (!put(line)) dropped += 1;
      if (isBounded && size > (bound.bytesMax ?? logBytesMax)) {
        beginAnew(fd, bound.path);
        size = 0;
      }
    },
  };
}

function isFile(fd: number, path: string): boolean {
  try {
    const [opened, named] = [fstatSync(fd), statSync(path)];
    return opened.isFile() && opened.ino === named.ino && opened.dev === named.dev;
  } catch {
    return false;
  }
}

/** The file stays the one that is open, as standard output and error are. */
function beginAnew(fd: number, path: string): void {
  try {
    copyFileSync(path, `${path}.1`);
  } catch {
    // Where there is no space for what was, there is some for what comes.
  }
  ftruncateSync(fd);
}
