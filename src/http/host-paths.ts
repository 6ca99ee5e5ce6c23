/**
 * What tenants see of messages that may name files of the host. Messages of failures on the host often end with
 * those of programs and system calls, such as `open '/var/lib/flotilla/disks/…'`. The operator sees them as they
 * are; others see the names of files without their directories. The only place in `src/http` that shows the
 * message of a failure. Pure.
 * Example: `launch QEMU: open '/srv/state/run/x/log'` → `launch QEMU: open 'log'`.
 */
import { basename } from 'node:path';
import type { AppError, ErrorCode } from '../core/errors.ts';
import type { Operation, SubjectFailure } from '../core/operations/operation.ts';
import { sentence } from '../lib/sentence.ts';

/** Their messages are about the request, its archive or the guest, whose paths the caller knows. */
const aboutCaller: ReadonlySet<string> = new Set<ErrorCode>([
  ...(['invalid', 'unauthenticated', 'forbidden', 'not_found'] as const),
  ...(['guest', 'quota', 'rate_limited'] as const),
]);

/** In quotes a path may contain spaces. Paths of this API, which hints name, stay. */
const quoted = /(['"`‘“])(\/(?!(?:api|docs)(?![\w-]))[^'"`’”\n]+)(?=['"`’”])/g;
/** Neither the rest of `a/b`, `./a` or `https://a/b`, nor a `/` alone. */
const bare = /(?<![\w.~}/-])\/(?!\/)(?!(?:api|docs)(?![\w-]))[^\s'"`’”,;:()<>|]*[^\s'"`’”,;:()<>|.]/g;
const schemeOfFiles = /\b(?:file|unix):(?:\/\/)?(?=\/)/g;

/** The text without the directories of absolute paths. */
export function withoutDirectories(text: string): string {
  return text
    .replace(schemeOfFiles, '')
    .replace(quoted, (_, mark: string, path: string) => `${mark}${basename(path)}`)
    .replace(bare, (path) => basename(path));
}

/** The error as a caller may see it; of the same class. */
export function errorFor(error: AppError, isOperator: boolean): AppError {
  if (isOperator || aboutCaller.has(error.code)) return error;
  const { message, hint, details } = error;
  return Object.create(error, {
    message: { value: withoutDirectories(message) },
    hint: { value: hint && withoutDirectories(hint) },
    details: { value: details && mapTexts(details) },
  }) as AppError;
}

/** Why a machine failed, as a caller may see it. */
export function failureText(
  { code, message }: Pick<SubjectFailure, 'code' | 'message'>,
  isOperator: boolean,
): string {
  return sentence(isOperator || aboutCaller.has(code) ? message : withoutDirectories(message));
}

/** Why an operation failed. An import's own source may be a path of the host, whatever the code. */
export function operationFailureText({ kind, failure }: Operation, isOperator: boolean): string {
  if (failure === null) return '';
  return kind === 'image.import' && !isOperator
    ? sentence(withoutDirectories(failure.message))
    : failureText(failure, isOperator);
}

function mapTexts(details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      typeof value === 'string' ? withoutDirectories(value) : value,
    ]),
  );
}
