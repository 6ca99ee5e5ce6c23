/** Generates values from a schema of the document: allowed ones, and ones with an error. */

import fc from 'fast-check';
import { anyCharacter } from '../support/characters.ts';
import type { Contract, Schema } from './document.ts';

/** The document's limits may be large; longer texts would find nothing more. */
const textMax = 40;
const itemsMax = 4;

/** All kinds of text: plain, any code points, control characters, and troublesome strings. */
export const anyText = (minLength = 0, maxLength = textMax): fc.Arbitrary<string> => {
  const bounds = { minLength, maxLength: Math.min(maxLength, minLength + textMax) };
  return fc.oneof(
    fc.string(bounds),
    fc.string({ ...bounds, unit: anyCharacter }),
    fc
      .constantFrom('__proto__', 'constructor', '../..', "' or 1=1 --", '\0', '\u202e', 'a\nb', '=')
      .filter((text) => text.length >= bounds.minLength && text.length <= maxLength),
  );
};

const moments = fc
  .tuple(
    fc.date({ min: new Date('2000-01-01'), max: new Date('9999-01-01'), noInvalidDate: true }),
    fc.constantFrom('Z', '+00:00', '-11:30', '+14:00'),
  )
  .map(([date, offset]) => date.toISOString().replace('Z', offset));

/**
 * Values that the schema allows. Values whose shape does not guarantee that are filtered by the schema
 * itself.
 */
export function allowed(contract: Contract, schema: Schema): fc.Arbitrary<unknown> {
  return shaped(contract, contract.resolve(schema)).filter(
    (value) => contract.problem(schema, value) === null,
  );
}

function shaped(contract: Contract, schema: Schema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((each) => allowed(contract, each)));
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type) => shaped(contract, { ...schema, type })));
  }
  switch (schema.type) {
    case 'null':
      return fc.constant(null);
    case 'string':
      if (schema.format === 'date-time') return moments;
      return fc.oneof(
        anyText(schema.minLength, schema.maxLength),
        // Base64 and plain words are rare among random texts.
        fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString('base64')),
        fc.string({ minLength: schema.minLength ?? 0, maxLength: 12, unit: fc.constantFrom('a', 'Z', '0') }),
      );
    case 'integer':
      return fc.oneof(
        fc.integer({ min: schema.minimum ?? -9, max: Math.min(schema.maximum ?? 4096, 65_535) }),
        fc.constantFrom(schema.minimum ?? 0, schema.maximum ?? Number.MAX_SAFE_INTEGER),
      );
    case 'boolean':
      return fc.boolean();
    case 'array': {
      const { items = {}, minItems = 0, maxItems = itemsMax } = schema;
      return fc.array(allowed(contract, items), {
        minLength: minItems,
        maxLength: Math.min(maxItems, minItems + itemsMax),
      });
    }
    case 'object':
      return objects(contract, schema);
    case undefined:
      if (Object.keys(schema).every((key) => key === 'description' || key === 'example'))
        return fc.jsonValue();
      throw new Error(`no values for ${JSON.stringify(schema)}`);
    default:
      throw new Error(`no values for ${JSON.stringify(schema)}`);
  }
}

function objects(contract: Contract, schema: Schema): fc.Arbitrary<unknown> {
  const { properties, additionalProperties, propertyNames = {}, required = [] } = schema;
  if (!properties) {
    const { minLength, maxLength } = propertyNames;
    const key = anyText(minLength, maxLength).filter((text) => text !== '__proto__');
    return fc.dictionary(key, allowed(contract, additionalProperties ?? {}), { maxKeys: itemsMax });
  }
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, allowed(contract, property)]),
  );
  return fc.record(fields, { requiredKeys: required.filter((name) => name in fields) });
}

/** A value with one change: a missing field, another type, out of bounds, or too many. */
export function mutated(value: fc.Arbitrary<unknown>, schema: Schema): fc.Arbitrary<unknown> {
  const names = Object.keys(schema.properties ?? {});
  const name = fc.constantFrom(...names, 'unknown_field');
  const change = fc.oneof(
    fc.record({ kind: fc.constant('drop' as const), name }),
    fc.record({ kind: fc.constant('set' as const), name, to: odd }),
  );
  const fields = fc.tuple(value, fc.array(change, { minLength: 1, maxLength: 2 })).map(([whole, changes]) => {
    const copy: Record<string, unknown> = { ...(whole as object) };
    for (const each of changes) {
      if (each.kind === 'drop') delete copy[each.name];
      else copy[each.name] = each.to;
    }
    return copy;
  });
  return fc.oneof({ weight: 6, arbitrary: fields }, { weight: 1, arbitrary: odd });
}

/** Values that fit nowhere, and boundary values. */
const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(0, -1, 1.5, 3, 4, 33, 65_535, 65_536, 86_400, 86_401, 2 ** 31, 2 ** 53, 1e308),
  fc.constantFrom('', ' ', '1', 'true', 'x'.repeat(129), 'x'.repeat(256), '\0', 'a=b', '=='),
  fc.constantFrom(
    null,
    true,
    false,
    [],
    {},
    [[]],
    [0],
    [65_536],
    [''],
    ['\0'],
    { '': '' },
    { a: 1 },
    { 'a=': 'b' },
  ),
  fc.anything({ maxDepth: 2, withBigInt: false, withSparseArray: false }),
);
