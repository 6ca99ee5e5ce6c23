/** The table of tools in the formats of OpenAI, Anthropic and Gemini. Pure. */
import { inputSchemas, type ObjectSchema, toGemini } from './input-schemas.ts';
import type { Tool } from './tool.ts';

export interface ToolDocuments {
  readonly openai: {
    readonly tools: readonly {
      readonly type: 'function';
      readonly function: {
        readonly name: string;
        readonly description: string;
        readonly parameters: ObjectSchema;
      };
    }[];
  };
  readonly anthropic: {
    readonly name: string;
    readonly version: string;
    readonly tools: readonly {
      readonly name: string;
      readonly description: string;
      readonly input_schema: ObjectSchema;
    }[];
  };
  readonly gemini: {
    readonly functionDeclarations: readonly {
      readonly name: string;
      readonly description: string;
      readonly parameters: Readonly<Record<string, unknown>>;
    }[];
  };
}

export function toolDocuments(tools: readonly Tool[], version: string): ToolDocuments {
  const schemas = inputSchemas(tools);
  const described = tools.map(({ name, description }) => {
    const schema = schemas.get(name);
    if (schema === undefined) throw new Error(`tool ${name} has no schema`);
    return { name, description, schema };
  });
  return {
    openai: {
      tools: described.map(({ name, description, schema }) => ({
        type: 'function',
        function: { name, description, parameters: schema },
      })),
    },
    anthropic: {
      name: 'hypermachine',
      version,
      tools: described.map(({ name, description, schema }) => ({ name, description, input_schema: schema })),
    },
    gemini: {
      functionDeclarations: described.map(({ name, description, schema }) => ({
        name,
        description,
        parameters: toGemini({ ...schema }),
      })),
    },
  };
}
