import { messageOf } from '../domain/errors.ts';
import type { LegacyBackend, Reply } from '../engine/ports/ports.ts';

/** Tells why calls for agents failed: they themselves are only told that the service cannot be reached. */
export function tellingFailures(backend: LegacyBackend, onFailure: (detail: string) => void): LegacyBackend {
  const tell = (error: unknown): Promise<Reply> => {
    onFailure(messageOf(error));
    throw error;
  };
  return {
    send: (call) => (call.purpose === 'live' ? backend.send(call).catch(tell) : backend.send(call)),
    load: (purpose) => backend.load(purpose),
  };
}
