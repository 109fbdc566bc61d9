import type { DifferenceClass, Hint } from '../../domain/comparison.ts';
import { secondsBetween } from './instants.ts';
import { isEqualNumber, isNumeric, plainOf } from './reply-values.ts';

/** The likely cause of a difference. */
export interface LikelyCause {
  readonly hint?: Hint;
  readonly apart?: number;
}

interface Found {
  readonly class: DifferenceClass;
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

/** Epoch seconds since 2001. Such numbers are times. */
const EPOCH_SECONDS = 1e9;
/** Two clocks, or two time zones, differ by less than this. */
const CLOCK_SECONDS = 15 * 3_600;
/** Longer texts are not examined. */
const TEXT_LIMIT = 4_096;
const CUT = '...';

const NOTHING: LikelyCause = {};

/** Finds the likely cause, so that a person knows where to look first. Keeps no content of the values. */
export function likelyCauseOf({ class: kind, legacy, orchestrator }: Found): LikelyCause {
  if (kind === 'order') return { hint: 'order' };
  if (kind === 'missing_in_orchestrator') return causeOfAbsence(legacy, 'missing_backfill');
  if (kind === 'extra_in_orchestrator') return causeOfAbsence(orchestrator, undefined);
  if (isNumeric(legacy) && isNumeric(orchestrator))
    return isEqualNumber(legacy, orchestrator)
      ? { hint: 'spelling_of_numbers' }
      : causeOfNumbers(Number(legacy), Number(orchestrator));
  if (typeof legacy === 'string' && typeof orchestrator === 'string')
    return causeOfTexts(legacy, orchestrator);
  return causeOfTypes(legacy, orchestrator);
}

function isDefault(given: unknown): boolean {
  const value = plainOf(given);
  if (value === null || value === '' || value === 0 || value === false) return true;
  return typeof value === 'object' && Object.keys(value as object).length === 0;
}

function causeOfAbsence(present: unknown, otherwise: Hint | undefined): LikelyCause {
  if (isDefault(present)) return { hint: 'default_value' };
  return otherwise === undefined ? NOTHING : { hint: otherwise };
}

function causeOfNumbers(legacy: number, orchestrator: number): LikelyCause {
  const apart = legacy - orchestrator;
  const size = Math.max(Math.abs(legacy), Math.abs(orchestrator));
  if (size > EPOCH_SECONDS && Math.abs(apart) <= CLOCK_SECONDS) return { hint: 'clock', apart };
  if (Math.abs(apart) <= size * 1e-3) return { hint: 'rounding', apart };
  return isDefault(legacy) || isDefault(orchestrator) ? { hint: 'default_value', apart } : { apart };
}

function causeOfTexts(legacy: string, orchestrator: string): LikelyCause {
  const seconds = looksLikeTime(legacy) ? secondsBetween(legacy, orchestrator) : undefined;
  if (seconds !== undefined) return { hint: 'clock', apart: seconds };
  if (legacy === '' || orchestrator === '') return { hint: 'default_value' };
  return isCut(legacy, orchestrator) ? { hint: 'cut_text' } : causeOfSpelling(legacy, orchestrator);
}

function isCut(legacy: string, orchestrator: string): boolean {
  return legacy.endsWith(CUT) && orchestrator.startsWith(legacy.slice(0, -CUT.length));
}

function looksLikeTime(text: string): boolean {
  return text.length < 40 && /^\d{4}-\d\d-\d\dT?/.test(text);
}

/** Characters outside ASCII, escaped ones, or whitespace other than a space: `%`, `&` and the backslash are left out. */
const ODD = /[^\x20-\x24\x27-\x5b\x5d-\x7e]/;

/** ASCII letters, digits and spaces, without spaces at the ends. Nothing is escaped, so the text has only one spelling. */
function isPlain(text: string): boolean {
  return !text.startsWith(' ') && !text.endsWith(' ') && !ODD.test(text);
}

function causeOfSpelling(legacy: string, orchestrator: string): LikelyCause {
  const isLong = legacy.length > TEXT_LIMIT || orchestrator.length > TEXT_LIMIT;
  if (isLong || (isPlain(legacy) && isPlain(orchestrator))) return NOTHING;
  return canonicalText(legacy) === canonicalText(orchestrator) ? { hint: 'encoding' } : NOTHING;
}

const ESCAPED = /\\u([0-9a-fA-F]{4})/g;

/**
 * Maps all results of a wrong encoding to one text: composed, unescaped, read as Latin-1 once, with equal line ends and spaces.
 */
function canonicalText(text: string): string {
  const unescaped = text.replaceAll(ESCAPED, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  const isLatin = !/[^\0-\xff]/.test(unescaped);
  const read = isLatin ? Buffer.from(unescaped, 'latin1').toString('utf8') : unescaped;
  return (read.includes('�') ? unescaped : read).normalize('NFKC').replaceAll(/\s+/g, ' ').trim();
}

function causeOfTypes(legacy: unknown, orchestrator: unknown): LikelyCause {
  if (isDefault(legacy) && isDefault(orchestrator)) return { hint: 'default_value' };
  const isNumberAsText =
    (isNumeric(legacy) || isNumeric(orchestrator)) && String(legacy) === String(orchestrator);
  return isNumberAsText ? { hint: 'spelling_of_numbers' } : NOTHING;
}
