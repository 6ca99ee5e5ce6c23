/**
 * Writes the daemon's log lines to a file descriptor whose reader may be gone or whose disk may be full. A
 * line that cannot be written is dropped, because a daemon that blocks or crashes because of its log would be
 * worse. The number of dropped lines is logged as soon as writing works again.
 */
import { copyFileSync, fstatSync, ftruncateSync, statSync, writeSync } from 'node:fs';

/** The current and the previous log together take at most twice this. */
const logBytesMax = 32 * 1024 * 1024;

export interface LogSink {
  /** Writes one line with its newline; never throws. */
  write(line: string): void;
}

/**
 * `bound` is for our own log file, to which `fd` appends: when full, it is copied to `<path>.1` and
 * truncated. Other targets (a terminal, a pipe, another file) are managed by whoever opened them.
 */
export function logSink(fd: number, bound?: { readonly path: string; readonly bytesMax?: number }): LogSink {
  const isBounded = bound !== undefined && isFile(fd, bound.path);
  let size = isBounded ? fstatSync(fd).size : 0;
  let dropped = 0;
  /** Whether the last write ended in the middle of a line. */
  let isLineOpen = false;

  const put = (text: string): boolean => {
    const bytes = Buffer.from(isLineOpen ? `\n${text}` : text);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(fd, bytes, written);
    } catch {
      // The caller counts the line; there is nowhere else to report it.
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

/** Truncates in place, because standard output and error keep the file open. */
function beginAnew(fd: number, path: string): void {
  try {
    copyFileSync(path, `${path}.1`);
  } catch {
    // If the copy did not fit, truncating still frees space for new lines.
  }
  ftruncateSync(fd);
}
