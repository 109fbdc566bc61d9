import type { Message } from '../domain/request.ts';
import type { LegacyAccess } from '../domain/service-definition.ts';

/** The service itself, where asking it changes nothing. */
export function doorToService(access: LegacyAccess): LegacyAccess {
  return access.call === undefined ? {} : { call: async (text) => asked(access, text) };
}

/** @throws Error where the service cannot be asked, or does not answer */
export async function asked(access: LegacyAccess, text: string): Promise<Message> {
  const reply = await access.call?.(text);
  if (reply === undefined) throw new Error('the service cannot be asked');
  return reply;
}
