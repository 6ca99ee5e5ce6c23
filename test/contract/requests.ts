/**
 * Generates requests from an operation of the document, together with what determines their allowed answers.
 */
import fc from 'fast-check';
import type { Contract, DocumentedOperation } from './document.ts';
import type { WireRequest } from './http.ts';
import { allowed, anyText, mutated } from './values.ts';

export interface Generated {
  readonly wire: WireRequest;
  /** Whether the document allows parameters and body; null when the document does not cover the request. */
  readonly isAllowed: boolean | null;
  readonly isAuthorized: boolean;
}

export interface Targets {
  readonly key: string;
  /** The existing subject named in the path. */
  readonly id: string;
}

const json = 'application/json';
/** The command of a running subject. */
export const subjectExecId = 'c1';

export function requestsOf(
  contract: Contract,
  operation: DocumentedOperation,
  targets: Targets,
): fc.Arbitrary<Generated> {
  return fc
    .record({
      id: ids(targets),
      query: queries(contract, operation),
      body: bodies(contract, operation),
      headers: headers(targets),
    })
    .map(({ id, query, body, headers: { authorization, isAuthorized, extra, type } }) => {
      const search = query.pairs
        .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
        .join('&');
      const path = operation.path
        .replace('{eid}', subjectExecId)
        .replace('{host_port}', '8080')
        .replace(/\{\w+\}/, () => id.text);
      const contentType = body.text === null ? {} : { 'Content-Type': type.text };
      // A body is read only if the document defines one.
      const isReadable = operation.requestBody === undefined ? body.text === null : type.isJson;
      return {
        wire: {
          method: operation.method,
          path: search === '' ? path : `${path}?${search}`,
          headers: { ...extra, ...contentType, ...authorization },
          body: body.text,
        },
        isAuthorized,
        isAllowed: isReadable && id.isPlain ? query.isAllowed && body.isAllowed : null,
      };
    });
}

function ids({ id }: Targets) {
  const odd = fc.oneof(
    anyText(1, 200)
      .filter((text) => text.isWellFormed())
      .map(encodeURIComponent),
    fc.constantFrom(
      '%',
      '%ff',
      '%2e%2e',
      '..',
      '.',
      'a%2Fb',
      '',
      '%00',
      'x'.repeat(128),
      'x'.repeat(129),
      ';',
      '@',
    ),
  );
  return fc.oneof(
    { weight: 5, arbitrary: fc.constant({ text: id, isPlain: true }) },
    { weight: 1, arbitrary: fc.constant({ text: 'nobody', isPlain: true }) },
    { weight: 2, arbitrary: odd.map((text) => ({ text, isPlain: false })) },
  );
}

/** A parameter is given once for each item of an array. */
function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

function queries(contract: Contract, operation: DocumentedOperation) {
  const parameters = (operation.parameters ?? []).filter((each) => each.in === 'query');
  const good = fc
    .record(
      Object.fromEntries(parameters.map((each) => [each.name, allowed(contract, each.schema).map(texts)])),
      { requiredKeys: parameters.filter((each) => each.required).map((each) => each.name) },
    )
    .map((values) => ({
      pairs: Object.entries(values).flatMap(([name, all]) =>
        all.map((each): [string, string] => [name, each]),
      ),
      isAllowed: true as boolean | null,
    }));
  const name = fc.constantFrom(
    'status',
    'limit',
    'offset',
    'timeout',
    'force',
    'lines',
    'follow',
    'machine',
    'state',
    'labels',
    'unknown',
  );
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '-1',
      '1e1',
      '0x10',
      '1.5',
      ' 1',
      '31',
      '1001',
      '99999999999999999999',
      'NaN',
      'TRUE',
      '[]',
    ),
    anyText().filter((text) => text.isWellFormed()),
  );
  const bad = fc
    .tuple(good, fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 3 }))
    .map(([{ pairs }, more]) => ({ pairs: [...pairs, ...more], isAllowed: null }));
  return fc.oneof({ weight: 3, arbitrary: good }, { weight: 1, arbitrary: bad });
}

interface Body {
  readonly text: string | null;
  readonly isAllowed: boolean | null;
}

function bodies(contract: Contract, operation: DocumentedOperation): fc.Arbitrary<Body> {
  const none: Body = { text: null, isAllowed: operation.requestBody?.required !== true };
  const schema = operation.requestBody?.content[json]?.schema;
  const noise = fc.constantFrom('{', '{"name":', '[1,', 'nul', '"', '\ufeff{}', 'name=web', '{}'.repeat(20));
  if (!schema) {
    const unasked = fc.oneof(noise, fc.json()).map((text): Body => ({ text, isAllowed: null }));
    if (operation.method === 'GET') return fc.constant(none);
    return fc.oneof({ weight: 4, arbitrary: fc.constant(none) }, { weight: 1, arbitrary: unasked });
  }
  const good = allowed(contract, schema);
  const value = fc.oneof(good, mutated(good, contract.resolve(schema)));
  return fc.oneof(
    { weight: 12, arbitrary: value.map((each) => toBody(contract, schema, each)) },
    { weight: 2, arbitrary: noise.map((text): Body => ({ text, isAllowed: isMarked(text) ? null : false })) },
    { weight: 1, arbitrary: fc.constant(none) },
  );
}

/** With a byte order mark, which a reader may skip (RFC 8259, section 8.1). */
function isMarked(text: string): boolean {
  return text.startsWith('\ufeff');
}

function toBody(
  contract: Contract,
  schema: NonNullable<Parameters<Contract['problem']>[0]>,
  value: unknown,
): Body {
  const text = JSON.stringify(value) ?? 'null';
  return { text, isAllowed: contract.problem(schema, JSON.parse(text)) === null };
}

function headers({ key }: Targets) {
  const authorization = fc.oneof(
    { weight: 9, arbitrary: fc.constant({ Authorization: `Bearer ${key}` }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Readonly<Record<string, string>>>(
        {},
        { Authorization: '' },
        { Authorization: key },
        { Authorization: 'Basic YTpi' },
        { Authorization: `Bearer ${key}x` },
        { Authorization: `Bearer ${key} ${key}` },
      ),
    },
  );
  const type = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(json, `${json}; charset=utf-8`, 'Application/JSON') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('text/plain', '', 'application/x-www-form-urlencoded', `${json}x`, ';'),
    },
  );
  const printable = fc.string({ maxLength: 150 }).map((text) => text.trim());
  const extra = fc.record(
    {
      Accept: fc.constantFrom(
        '*/*',
        json,
        'application/x-ndjson',
        'text/html;q=0.9, application/x-ndjson',
        ',;',
      ),
      'X-Request-Id': fc.oneof(printable, fc.constant('req-1')),
      'X-Correlation-ID': printable,
      'X-Forwarded-For': printable,
      Origin: fc.constantFrom('null', 'https://example.com'),
      Expect: fc.constant('100-continue'),
      Cookie: printable,
    },
    { requiredKeys: [] },
  );
  return fc.record({ authorization, extra, type }).map((each) => ({
    ...each,
    isAuthorized: each.authorization.Authorization === `Bearer ${key}`,
    type: { text: each.type, isJson: each.type.toLowerCase().split(';')[0] === json },
  }));
}
