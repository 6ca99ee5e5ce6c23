/** Reads `write_files` of user data. */
import { gunzipSync } from 'node:zlib';
import { readFlag, readList, readMap, readText, readWord, wrong } from './fields.ts';
import { type GuestFile, userDataPartsBytesMax } from './user-data.ts';
import type { YamlValue } from './yaml.ts';

const filesMax = 128;
/** Leaves room for base64 and the other parts. */
const contentBytesMax = userDataPartsBytesMax / 2;

const readPath = readWord(
  /^\/[^\p{Cc}]{0,4094}[^\p{Cc}/]$/u,
  'must be an absolute path of one line that does not end with /',
);
const ownerName = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}';
const readOwner = readWord(new RegExp(`^${ownerName}(:${ownerName})?$`), 'must be USER or USER:GROUP');
const readMode = readWord(/^(0o?)?[0-7]{3,4}$/, "must be octal digits, such as '0644'");

export function readFiles(value: YamlValue): readonly GuestFile[] {
  let left = contentBytesMax;
  return readList(value, 'write_files', filesMax, (item, what) => {
    const { bytes, ...file } = readFile(item, what, left);
    left -= bytes;
    return file;
  });
}

function readFile(value: YamlValue, what: string, bytesMax: number): GuestFile & { readonly bytes: number } {
  let path = '';
  let owner = 'root:root';
  let permissions = 0o644;
  let isAppended = false;
  let encoding: Encoding = 'plain';
  let content: YamlValue | null = null;
  readMap(value, what, {
    path: (item, key) => {
      path = readPath(item, key);
    },
    content: (item) => {
      content = item;
    },
    encoding: (item, key) => {
      encoding = readEncoding(item, key);
    },
    owner: (item, key) => {
      owner = readOwner(item, key);
    },
    permissions: (item, key) => {
      permissions = Number.parseInt(readMode(item, key).replace('o', ''), 8);
    },
    append: (item, key) => {
      isAppended = readFlag(item, key);
    },
  });
  if (path === '') throw wrong(value, what, 'must have a path');
  const bytes = content === null ? Buffer.alloc(0) : decode(content, encoding, bytesMax);
  return { path, content: bytes.toString('base64'), owner, permissions, isAppended, bytes: bytes.length };
}

type Encoding = 'plain' | 'base64' | 'gzip';

const encodings: Readonly<Record<string, Encoding>> = {
  'text/plain': 'plain',
  b64: 'base64',
  base64: 'base64',
  'gz+b64': 'gzip',
  'gz+base64': 'gzip',
  'gzip+b64': 'gzip',
  'gzip+base64': 'gzip',
};

function readEncoding(value: YamlValue, what: string): Encoding {
  const word = readText(value, what).toLowerCase();
  const encoding = Object.hasOwn(encodings, word) ? encodings[word] : undefined;
  if (encoding) return encoding;
  const isBareGzip = word === 'gz' || word === 'gzip';
  const why = isBareGzip ? 'must be gz+b64 for gzip: text cannot hold its bytes' : 'is not supported';
  throw wrong(value, what, `${why}; supported: ${Object.keys(encodings).join(', ')}`);
}

function decode(value: YamlValue, encoding: Encoding, bytesMax: number): Buffer {
  const text = readText(value, 'content');
  const bytes = encoding === 'plain' ? Buffer.from(text) : fromBase64(value, text);
  const content = encoding === 'gzip' ? unzip(value, bytes, bytesMax) : bytes;
  if (content.length > bytesMax) throw tooLarge(value);
  return content;
}

function fromBase64(value: YamlValue, text: string): Buffer {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits))
    throw wrong(value, 'content', 'must be base64');
  return Buffer.from(digits, 'base64');
}

function unzip(value: YamlValue, bytes: Buffer, bytesMax: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(bytesMax, 1) });
  } catch (error) {
    const isLarge = Object(error).code === 'ERR_BUFFER_TOO_LARGE';
    throw isLarge ? tooLarge(value) : wrong(value, 'content', 'must be gzip in base64');
  }
}

function tooLarge(value: YamlValue) {
  return wrong(value, 'content', `must be at most ${contentBytesMax} bytes in all files together`);
}
