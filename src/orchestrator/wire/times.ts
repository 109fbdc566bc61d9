import { ValidationError } from '../../domain/errors.ts';

const ISO = /^\d{4}-\d\d-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(Z|[+-]\d\d:?\d\d)?$/;
const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** Normalizes an ISO-8601 time to UTC with milliseconds. A time without a zone is UTC. @throws ValidationError with the field */
export function parseTime(text: string, field: string): string {
  const [whole, day, zone] = ISO.exec(text) ?? [];
  const hasTime = text.length > 10;
  const date = new Date(zone === undefined && hasTime ? `${text}Z` : text);
  if (whole === undefined || Number.isNaN(date.getTime()) || !isDayOfItsMonth(text, Number(day)))
    throw new ValidationError(`${field} must be an ISO-8601 time, such as 2026-01-31T08:00:00.000Z`, {
      details: { field },
    });
  if (date.getTime() < FIRST_MS || date.getTime() > LAST_MS) throw beyondYears(field);
  return date.toISOString();
}

export function parseOptionalTime(text: string | null | undefined, field: string): string | null {
  return text === undefined || text === null ? null : parseTime(text, field);
}

/** Refuses a ttl whose end is beyond the supported years. @throws ValidationError for ttl */
export function refuseTtlBeyondYears(from: string | null, ttlSeconds: number | null | undefined): void {
  if (from !== null && Date.parse(from) + (ttlSeconds ?? 0) * 1_000 > LAST_MS) throw beyondYears('ttl');
}

// Date parses February 30 as March 1.
function isDayOfItsMonth(text: string, day: number): boolean {
  return new Date(text.slice(0, 10)).getUTCDate() === day;
}

function beyondYears(field: string): ValidationError {
  return new ValidationError(`${field} must stay within the years 1 to 9999, in UTC`, {
    details: { field },
  });
}
