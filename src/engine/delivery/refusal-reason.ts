import type { CrossfadeError } from '../../domain/errors.ts';

/** Why something was refused for good, for a person: the reason, the field, and the limit that the field exceeds. */
export function refusalReasonOf({ reason, details }: CrossfadeError): string {
  const { field, limit } = details;
  const place = typeof field === 'string' ? field : undefined;
  const bound = typeof limit === 'number' ? `limit ${limit}` : undefined;
  return [reason, place, bound].filter((part) => part !== undefined).join(', ');
}
