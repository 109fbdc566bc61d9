import { ValidationError } from '../domain/errors.ts';

const ISO = /^(\d{4})-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(Z|[+-]\d\d:?\d\d)?$/;

/** An ISO-8601 time as the wire and the database take it: UTC with milliseconds. A time without a zone is UTC. @throws ValidationError naming the field */
export function parseTime(text: string, field: string): string {
  const match = ISO.exec(text);
  const hasTime = text.length > 10;
  const date = match === null ? undefined : new Date(match[2] === undefined && hasTime ? `${text}Z` : text);
  const year = Number(match?.[1]);
  if (date === undefined || Number.isNaN(date.getTime()) || year < 1)
    throw new ValidationError(`${field} must be an ISO-8601 time`, { details: { field } });
  return date.toISOString();
}

export function parseOptionalTime(text: string | null | undefined, field: string): string | null {
  return text === undefined || text === null ? null : parseTime(text, field);
}
