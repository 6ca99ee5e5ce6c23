/** The JSON Schemas of tools' arguments, as each provider of language models wants them. Pure. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Tool } from './tool.ts';

export interface ObjectSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

/** JSON Schema 2020-12 by tool name, with descriptions. */
export function inputSchemas(tools: readonly Tool[]): ReadonlyMap<string, ObjectSchema> {
  const paper = new OpenAPIHono();
  for (const { name, input } of tools) paper.openAPIRegistry.register(name, input);
  const { components } = paper.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } });
  const schemas = JSON.parse(JSON.stringify(components?.schemas ?? {})) as Readonly<Record<string, unknown>>;
  return new Map(tools.map(({ name }) => [name, forModels(schemas[name]) as ObjectSchema]));
}

/**
 * OpenAPI's `example` is `examples` in JSON Schema. Patterns are left out: not every provider reads JavaScript's, and
 * the descriptions say the rule.
 */
function forModels(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(forModels);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) => {
      // A property may be called `example`; its value is a schema.
      if (key === 'properties') return [[key, insideProperties(value)]];
      if (key === 'pattern') return [];
      if (key === 'example') return value === null ? [] : [['examples', [value]]];
      return [[key, key === 'default' || key === 'enum' ? value : forModels(value)]];
    }),
  );
}

function insideProperties(properties: object): object {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, forModels(schema)]));
}

/** The keywords of Gemini's schemas, a part of OpenAPI 3.0's. */
const geminiKeywords = ['description', 'enum', 'format', 'maximum', 'minimum', 'required'] as const;
/** Those whose 64-bit values its protocol writes as texts. */
const geminiCounts = ['maxItems', 'maxLength', 'minItems', 'minLength'] as const;

/** The same for Gemini: types in capital letters, `nullable` instead of a second type. */
export function toGemini(schema: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const types: readonly unknown[] = [schema.type].flat();
  const type = String(types.find((each) => each !== 'null') ?? 'object');
  const { properties, items } = schema as {
    readonly properties?: Readonly<Record<string, Record<string, unknown>>>;
    readonly items?: Record<string, unknown>;
  };
  return {
    type: type.toUpperCase(),
    ...(types.includes('null') ? { nullable: true } : {}),
    ...Object.fromEntries(geminiKeywords.flatMap((key) => (key in schema ? [[key, schema[key]]] : []))),
    ...Object.fromEntries(geminiCounts.flatMap((key) => (key in schema ? [[key, String(schema[key])]] : []))),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, property]) => [name, toGemini(property)]),
          ),
        }),
    ...(items === undefined ? {} : { items: toGemini(items) }),
  };
}
