/** References in a plan's parameters: `{{variable}}` and `{{step_id.field}}`. Pure. */
import { AppError } from '../../core/errors.ts';

export interface Reference {
  /** Null: a variable. */
  readonly step: string | null;
  readonly field: string;
}

const pattern = /\{\{\s*([^{}]+?)\s*\}\}/g;
const whole = /^\{\{\s*([^{}]+?)\s*\}\}$/;

export function referencesIn(value: unknown): readonly Reference[] {
  if (typeof value === 'string') return [...value.matchAll(pattern)].map(([, text = '']) => parse(text));
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(referencesIn);
}

/**
 * The value with every reference replaced. A text that is one reference becomes the value itself, with its type.
 * Raises `invalid` for a field that the output does not have.
 */
export function resolveReferences(value: unknown, lookUp: (reference: Reference) => unknown): unknown {
  if (typeof value === 'string') return resolveText(value, lookUp);
  if (Array.isArray(value)) return value.map((item) => resolveReferences(item, lookUp));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, resolveReferences(item, lookUp)]),
  );
}

function resolveText(text: string, lookUp: (reference: Reference) => unknown): unknown {
  const found = (name: string) => {
    const value = lookUp(parse(name));
    if (value === undefined) throw new AppError('invalid', `{{${name}}} has no value`);
    return value;
  };
  const only = whole.exec(text)?.[1];
  if (only !== undefined) return found(only);
  return text.replace(pattern, (_, name: string) => {
    const value = found(name);
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

function parse(text: string): Reference {
  const dot = text.indexOf('.');
  return dot < 0 ? { step: null, field: text } : { step: text.slice(0, dot), field: text.slice(dot + 1) };
}
