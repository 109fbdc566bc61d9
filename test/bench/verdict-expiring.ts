import { defineService } from '../../src/domain/service-definition.ts';
import { jarvisMemory } from '../../src/services/jarvis-memory.ts';

/** jarvis-memory as if it forgot a user after half a minute: what is read here is always near that moment. */
export default defineService({
  ...jarvisMemory,
  name: 'expiring-memory',
  lanes: {
    ...jarvisMemory.lanes,
    sessionPrefix: 'expiring:',
    retention: { ...jarvisMemory.lanes.retention, idleSeconds: 30 },
  },
});
