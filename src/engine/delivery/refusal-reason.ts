import type { CrossfadeError } from '../../domain/errors.ts';

/** Why something was refused for good, for a person: the reason's word, the field it is about, the limit that the field is over. */
export function refusalReasonOf({ reason, details }: CrossfadeError): string {
  const { field, limit } = details;
  const place = typeof field === 'string' ? field : undefined;
  const bound = typeof limit === 'number' ? `limit ${limit}` : undefined;
  return [reason, place, bound].filter((part) => part !== undefined).join(', ');
}
