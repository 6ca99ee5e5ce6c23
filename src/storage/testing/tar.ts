/** Makes archives by hand that tar itself would not write. */

export interface EntryOptions {
  /** The type flag. Default: a file. */
  readonly type?: string;
  readonly linkTo?: string;
  readonly content?: string;
  /** The size in the header; default: the content's. */
  readonly size?: number;
  readonly mode?: number;
  readonly device?: readonly [major: number, minor: number];
}

/** One ustar header with its content; mode 0755, user 0. */
export function entry(name: string, options: EntryOptions = {}): Buffer {
  const content = Buffer.from(options.content ?? '');
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, digits: number) =>
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at);
  header.write(name, 0);
  octal(options.mode ?? 0o755, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(options.size ?? content.length, 124, 11);
  octal(0, 136, 11);
  header.write('        ', 148);
  header.write(options.type ?? '0', 156);
  header.write(options.linkTo ?? '', 157);
  header.write('ustar\x0000', 257);
  if (options.device) {
    octal(options.device[0], 329, 7);
    octal(options.device[1], 337, 7);
  }
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A pax header for the next entry. */
export function pax(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return `${length} ${key}=${value}\n`;
  });
  return entry('pax', { type: 'x', content: lines.join('') });
}

/** Two blocks of zeros end an archive. */
export const tarEnd = Buffer.alloc(1024);
