import { isJsonObject, Json, parseTolerantly } from '../../domain/json.ts';
import type { StoredMemory } from '../../domain/service-definition.ts';
import { contentOf, tagsOf, unwrapMetadata, wrapMetadata } from '../stored-items.ts';
import { respell, spellExponent } from '../python-spelling.ts';

/** One interaction, each member as JSON text. */
export interface Interaction {
  readonly role: string;
  readonly content: string;
  readonly metadata: string | undefined;
  /** The time in the store's spelling. Only copies know it. */
  readonly timestamp?: string;
}

/** The `create` payload of an interaction, without id, position and time. */
export function interactionPayload(interaction: Interaction): Readonly<Record<string, unknown>> {
  // As the store shows it, so that a copy, which knows nothing else, gives the same tag.
  const role = boundText(interaction.role);
  return {
    memory_type: 'conversation',
    content: {
      text: boundText(interaction.content) ?? '',
      // A value that is not text is kept next to the text that the store makes of it.
      value: interaction.content.startsWith('"') ? undefined : new Json(interaction.content),
      role: new Json(interaction.role),
      source_agent: 'session_memory_agent',
      metadata: wrapMetadata(interaction.metadata, interaction.timestamp),
    },
    tags: tagsOf(['conversation'], [role, ...metadataTags(interaction.metadata)]),
    create_session: true,
    suppress_events: true,
    escape_unstorable: true,
  };
}

function metadataTags(raw: string | undefined): readonly unknown[] {
  const metadata = raw === undefined ? undefined : parseTolerantly(raw);
  const tags = isJsonObject(metadata) ? metadata['tags'] : undefined;
  return Array.isArray(tags) ? tags : [];
}

/** An orchestrator item as the service's store would show it. Undefined if it is not an interaction. */
export function interactionFields(memory: StoredMemory): Readonly<Record<string, string>> | undefined {
  if (memory.memory_type !== 'conversation') return undefined;
  const { raw } = contentOf(memory);
  const { role, metadata } = raw;
  const content = raw['value'] ?? raw['text'];
  if (role === undefined || content === undefined) return undefined;
  return {
    role: storedText(role),
    content: storedText(content),
    metadata: respell(unwrapMetadata(metadata) ?? '{}'),
  };
}

function storedText(raw: string): string {
  return JSON.stringify(boundText(raw) ?? null);
}

const INTEGER = /^-?\d+$/;
const INT64_MAX = 2n ** 63n - 1n;
const DIGITS = 15;

/**
 * The content of a TEXT column of SQLite after Python's driver has bound this JSON value; null for NULL (NaN becomes NULL too).
 * Undefined for values that the driver refuses: lists, objects, integers beyond 64 bits.
 */
export function boundText(raw: string): string | null | undefined {
  const first = raw[0];
  if (first === '"') return JSON.parse(raw) as string;
  if (first === '[' || first === '{') return undefined;
  if (INTEGER.test(raw)) return integerText(BigInt(raw));
  return WORDS.has(raw) ? WORDS.get(raw) : realText(Number(raw));
}

// Python's True is the integer 1.
const WORDS: ReadonlyMap<string, string | null> = new Map([
  ['null', null],
  ['NaN', null],
  ['true', '1'],
  ['false', '0'],
]);

function integerText(value: bigint): string | undefined {
  return value > INT64_MAX || value < -INT64_MAX - 1n ? undefined : value.toString();
}

/** SQLite's `%!.15g` (up to 3.4x; newer versions write 17 digits): an exponent below 1e-4 and from 1e15, and always a point. */
function realText(value: number): string {
  if (value === 0) return '0.0';
  if (!Number.isFinite(value)) return value > 0 ? 'Inf' : '-Inf';
  const [digits = '', power = '0'] = value.toExponential(DIGITS - 1).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < DIGITS) {
    return withPoint(value.toFixed(DIGITS - 1 - exponent));
  }
  return withPoint(digits) + spellExponent(exponent);
}

/** Removes zeros at the end, except one after the point. */
function withPoint(digits: string): string {
  const short = digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
  return short.includes('.') ? short : `${short}.0`;
}
