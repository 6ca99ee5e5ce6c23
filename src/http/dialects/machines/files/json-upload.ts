/**
 * Hyperfleet’s `{"path": …, "content": base64}`, read as it arrives: a body of 140 MB is no reason to hold so much
 * memory.
 */
import { Readable } from 'node:stream';
import parser from 'stream-json/parser.js';
import { AppError, isAppError } from '../../../../core/errors.ts';
import { BadRequest, oneJsonValue } from '../../../errors.ts';
import { unknownName } from '../../../schema.ts';
import { type FileLimits, tooLarge } from './transfer.ts';

const pathCharactersMax = 4096;

interface Token {
  readonly name: string;
  readonly value?: unknown;
}

export interface JsonUpload {
  readonly path: string;
  /** Iterated once. */
  readonly content: AsyncGenerator<Uint8Array, void>;
}

/** Resolves when the path is known. Raises `invalid` for another body, while its content is read, too. */
export async function readJsonUpload(
  body: AsyncIterable<Uint8Array>,
  limits: FileLimits,
): Promise<JsonUpload> {
  const tokens = tokensOf(body);
  let path: string | null = null;
  if ((await tokens.next()).value?.name !== 'startObject')
    throw new AppError('invalid', 'body must be an object');
  for (;;) {
    const { value: token } = await tokens.next();
    if (token?.name === 'endObject')
      throw new AppError('invalid', `${path === null ? 'path' : 'content'} is required`);
    if (token?.name !== 'keyValue') continue;
    if (token.value === 'path') path = await textOf(tokens, 'path');
    else if (token.value !== 'content')
      throw new AppError('invalid', unknownName('field', String(token.value), ['path', 'content']));
    else if (path === null)
      throw new AppError('invalid', 'path must come before content', {
        hint: 'Or use PUT /files/content?path=…, which takes the bytes as they are.',
      });
    else return { path, content: contentOf(tokens, limits) };
  }
}

async function* tokensOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Token, undefined> {
  const source = Readable.from(body);
  const stream = parser.asStream({
    packKeys: true,
    streamKeys: false,
    packValues: false,
    streamValues: true,
  });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  source.once('error', (error) => {
    reject(error);
    stream.destroy(error);
  });
  try {
    for await (const token of source.pipe(stream) as AsyncIterable<Token>) yield token;
    return undefined;
  } catch (error) {
    if (isAppError(error)) throw error;
    throw new BadRequest('The request body is not valid JSON', oneJsonValue);
  } finally {
    source.destroy();
  }
}

async function textOf(tokens: AsyncGenerator<Token, undefined>, name: string): Promise<string> {
  if ((await tokens.next()).value?.name !== 'startString')
    throw new AppError('invalid', `${name} must be a string`);
  let text = '';
  for (;;) {
    const { value: token } = await tokens.next();
    if (token?.name !== 'stringChunk') return text;
    text += String(token.value);
    if (text.length > pathCharactersMax)
      throw new AppError('invalid', `${name} must have at most ${pathCharactersMax} characters`);
  }
}

/** The decoded bytes; at the end, the rest of the object is checked. */
async function* contentOf(
  tokens: AsyncGenerator<Token, undefined>,
  limits: FileLimits,
): AsyncGenerator<Uint8Array, void> {
  if ((await tokens.next()).value?.name !== 'startString')
    throw new AppError('invalid', 'content must be a string');
  let kept = '';
  let bytes = 0;
  let isPadded = false;
  for (;;) {
    const { value: token } = await tokens.next();
    if (token?.name !== 'stringChunk') break;
    const text = kept + String(token.value);
    const whole = text.length - (text.length % 4);
    kept = text.slice(whole);
    if (whole === 0) continue;
    if (isPadded) throw notBase64();
    const piece = decoded(text.slice(0, whole));
    isPadded = text[whole - 1] === '=';
    bytes += piece.length;
    if (bytes > limits.bytesMax) throw tooLarge(bytes, limits);
    yield piece;
  }
  if (kept !== '') throw notBase64();
  for await (const token of tokens)
    if (token.name === 'keyValue')
      throw new AppError('invalid', unknownName('field', String(token.value), ['path', 'content']));
}

function decoded(text: string): Buffer {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw notBase64();
  return Buffer.from(text, 'base64');
}

function notBase64(): AppError {
  return new AppError('invalid', 'content must be base64, with padding');
}
