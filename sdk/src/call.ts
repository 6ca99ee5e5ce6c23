/**
 * Typed calls by operation id. Parameters, answers, method and path all come from the OpenAPI document and
 * are written nowhere else.
 * Example: `call(transport, 'getMachine', { path: { id } }, timeoutMs)`.
 */
import { isRecord } from './errors.ts';
import { operationTable } from './generated/operations.ts';
import type { operations } from './generated/schema.ts';
import { badResponse, type Call, type CallOptions, invalidArgument, type Transport } from './transport.ts';

export type OperationId = keyof typeof operationTable;

/** Arguments of a call: only the parts (path, query, body) that the operation has. */
export type CallArguments<Id extends OperationId> = Part<'path', Parameters<Id>['path']> &
  Part<'query', Queried<Parameters<Id>['query']>> &
  Part<'body', JsonOf<NonNullable<operations[Id]['requestBody']>>>;

/** The query type of an operation. */
export type QueryOf<Id extends OperationId> = Queried<NonNullable<Parameters<Id>['query']>>;

/** The JSON type of an operation's successful answer; undefined when it has no body. */
export type AnswerOf<Id extends OperationId> = [SuccessJson<Id>] extends [never]
  ? undefined
  : SuccessJson<Id>;

type Parameters<Id extends OperationId> = operations[Id]['parameters'];
type Part<Name extends string, Value> = [Value] extends [never]
  ? { readonly [Key in Name]?: never }
  : [Value] extends [undefined]
    ? { readonly [Key in Name]?: never }
    : undefined extends Value
      ? { readonly [Key in Name]?: Value }
      : { readonly [Key in Name]: Value };
/** Optional fields also accept `undefined`, and fields that may be repeated also one value. */
type Queried<Query> = {
  readonly [Key in keyof Query]: OneOrMany<Query[Key]> | OptionalAsUndefined<Query, Key>;
};
type OneOrMany<Value> = Value extends readonly (infer Item)[] ? Value | Item : Value;
type OptionalAsUndefined<From, Key extends keyof From> =
  Record<never, never> extends Pick<From, Key> ? undefined : never;
type JsonOf<Message> = Message extends { readonly content: { readonly 'application/json': infer Json } }
  ? Json
  : never;
type Responses<Id extends OperationId> = operations[Id]['responses'];
type SuccessJson<Id extends OperationId> = JsonOf<Responses<Id>[keyof Responses<Id>]>;

interface AnyArguments {
  readonly path?: Readonly<Record<string, string>> | undefined;
  readonly query?: Call['query'];
  readonly body?: unknown;
}

/**
 * Calls an operation that answers JSON or nothing. The deadline is `timeoutMs` unless the options set
 * another.
 */
export async function call<Id extends OperationId>(
  transport: Transport,
  id: Id,
  given: CallArguments<Id>,
  timeoutMs: number,
  options?: CallOptions,
): Promise<AnswerOf<Id>> {
  const request = requestOf(id, given);
  const answer = await transport.json(request, timeoutMs, options);
  return checkAnswer(id, request, answer) as AnswerOf<Id>;
}

/**
 * Builds the HTTP request of a call. Throws FlotillaError `INVALID_ARGUMENT` for an id that would change the
 * path.
 */
export function requestOf<Id extends OperationId>(id: Id, given: CallArguments<Id>): Call {
  const { method, path, isRepeatable } = operationTable[id];
  const { path: names = {}, query, body } = given as AnyArguments;
  return { method, path: fillPath(path, names), query, body, isRepeatable };
}

/** Checks that the answer is an object where the operation answers JSON. */
export function checkAnswer(id: OperationId, { method, path }: Call, answer: unknown): unknown {
  if (operationTable[id].answer === 'json' && !isRecord(answer)) {
    throw badResponse(`${method} ${path}: the answer is not an object`);
  }
  return answer;
}

function fillPath(template: string, names: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => {
    const name = names[parameter] ?? '';
    // URL parsing would resolve these to another path.
    if (name === '' || name === '.' || name === '..') throw invalidArgument(`'${name}' is not a name or id`);
    return encodeURIComponent(name);
  });
}
