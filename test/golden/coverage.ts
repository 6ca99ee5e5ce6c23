/** What the golden files of a dialect must cover, and which of it they do not. Pure. */
import type { DocumentedOperation } from '../contract/document.ts';
import type { Conversation } from './conversation.ts';

/** Why an `operation`, or one `operation status`, has no exchange. */
export type Exceptions = Readonly<Record<string, string>>;

/** `operation status` for each documented answer without an exchange or an exception. */
export function unasked(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
  exceptions: Exceptions,
): readonly string[] {
  const asked = new Set(answered(operations, conversations));
  return operations
    .filter(({ operationId }) => !(operationId in exceptions))
    .flatMap(documentedOf)
    .filter((name) => !asked.has(name) && !(name in exceptions));
}

/** `operation status` for each answer in an exchange that is not documented. */
export function undocumented(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
): readonly string[] {
  const known = new Set(operations.flatMap(documentedOf));
  return answered(operations, conversations).filter((name) => !known.has(name));
}

/** Exceptions that nobody needs: the answer is not documented, or there is an exchange. */
export function needless(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
  exceptions: Exceptions,
): readonly string[] {
  const asked = answered(operations, conversations);
  const known = new Set(operations.flatMap((each) => [each.operationId, ...documentedOf(each)]));
  return Object.keys(exceptions).filter(
    (name) => !known.has(name) || asked.some((each) => each === name || each.startsWith(`${name} `)),
  );
}

/** The documented operation that a request is for; undefined: none. */
export function operationOf(
  operations: readonly DocumentedOperation[],
  method: string,
  target: string,
): DocumentedOperation | undefined {
  const path = pathOf(target);
  return operations.find((each) => {
    const pattern = new RegExp(`^${each.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
    return each.method === method && pattern.test(path);
  });
}

/** A request's target without its query. */
export function pathOf(target: string): string {
  return target.replace(/\?.*$/, '');
}

function answered(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
): readonly string[] {
  return conversations
    .flatMap(({ exchanges }) => exchanges)
    .flatMap(({ request, response }) => {
      const operation = operationOf(operations, request.method, request.path);
      return operation ? [`${operation.operationId} ${response.status}`] : [];
    });
}

function documentedOf({ operationId, responses }: DocumentedOperation): readonly string[] {
  return Object.keys(responses).map((status) => `${operationId} ${status}`);
}
