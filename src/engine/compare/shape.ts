import { digestOf } from './digest.ts';
import { isNumeric } from './reply-values.ts';

/** Member names that look like schema names are printed. Any other name may be a person's words. */
const NAME = /^[A-Za-z_][\w-]{0,39}$/;

/** What may be shown of a value: its kind, its size, and for text a digest. Undefined means absent. */
export function shapeOf(value: unknown): string {
  if (value === undefined) return 'absent';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `list(${value.length})`;
  if (typeof value === 'string') return `string(${value.length})#${digestOf(value)}`;
  if (isNumeric(value)) return 'number';
  return typeof value === 'object' ? `object(${Object.keys(value).length})` : 'boolean';
}

/** A shape without sizes and digests, which differences of one cause share. */
export function kindOfShape(shape: string): string {
  return shape.replace(/[(#].*$/, '');
}

/** A member's name as a path shows it. */
export function nameOf(key: string): string {
  return NAME.test(key) ? key : `key(${key.length})#${digestOf(key)}`;
}
