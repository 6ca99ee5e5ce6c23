/**
 * Where the daemon's log lines go: a file descriptor whose reader may be gone or whose disk may be full. A line that
 * cannot be written is dropped, since a daemon that waits or ends for its log would be worse than a gap in it; how many
 * were dropped is said as soon as lines can be written again.
 */
import { writeSync } from 'node:fs';

export interface LogSink {
  /** Takes one line with its line feed; never throws. */
  write(line: string): void;
}

export function logSink(fd: number): LogSink {
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
    },
  };
}
