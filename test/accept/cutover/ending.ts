import { join } from 'node:path';
import { runCommand } from '../../support/command.ts';
import { LegacyWriter } from '../reconcile/fill.ts';
import { INTRUDER } from '../reconcile/breakages.ts';
import { canonical } from '../stores.ts';
import { SERVICES, type CutoverService } from './goals.ts';
import { byPerson, type Operator } from './operator.ts';
import type { Stage } from './stage.ts';

const ATTEMPTS = 10;

/** Each service becomes read-only, and its clock starts with a backup that was restored. */
export async function makeReadOnly({ parts: { operator, world } }: Stage): Promise<void> {
  await operator.change('reconcile');
  const begin = async (service: CutoverService): Promise<void> => {
    await operator.untilEnd(service, 'ready to be read-only', ({ read_only }) =>
      read_only.every(({ met }) => met),
    );
    await operator.change('read-only', service, '--confirm');
    await operator.untilEnd(service, 'legacy has its last write', ({ settled_at }) => settled_at !== null);
    const folder = join(world.folders.root, `backup-${service}`);
    await operator.change('read-only', service, '--backup', folder, '--config', world.configFile);
  };
  await Promise.all(SERVICES.map(begin));
}

/** A program with an old connection string writes to each legacy service. */
export async function findForeignWriter(stage: Stage): Promise<void> {
  const { operator, world, ledger, say } = stage.parts;
  const session = [...ledger.sessions.values()].find(({ isOpen, items }) => isOpen && items.length > 0);
  const contextual = [...ledger.contextual.keys()][0] ?? '';
  const user = [...ledger.jarvis.keys()][0] ?? '';
  const memory = { type: 'preference', name: 'added past the proxy', source_agent: INTRUDER };
  const owners = {
    'session-memory': session?.sessionId ?? '',
    'contextual-memory': contextual,
    'jarvis-memory': user,
  };
  const writer = new LegacyWriter(world.direct);
  const added = {
    action: 'add_interaction',
    content: 'added past the proxy',
    metadata: { source_agent: INTRUDER },
  };
  await writer.ask('session', { ...added, session_id: owners['session-memory'], role: 'user' });
  await writer.ask('contextual', { ...added, session_id: contextual, type: 'note' });
  await writer.ask('jarvis', { action: 'add_memory', user_id: user, memory });
  writer.close();
  stage.foreign.set(`sessions/${owners['session-memory']}`, 'user\nadded past the proxy');
  stage.foreign.set(`entries/${contextual}`, 'note\nadded past the proxy');
  stage.foreign.set(`memories/${user}`, canonical(memory));
  for (const service of SERVICES) {
    const { foreign } = await operator.untilEnd(
      service,
      'the foreign writer',
      (end) => end.foreign.length > 0,
    );
    const isNamed = foreign.some(
      ({ owner, writers }) => owner === owners[service] && writers.includes(INTRUDER),
    );
    const isAlone = foreign.length === 1;
    if (isNamed && isAlone) stage.foreignFound += 1;
    else say(`${service}: found ${JSON.stringify(foreign)}`);
  }
}

/** Two persons complete each service, and its certificate is verified. */
export async function complete(stage: Stage): Promise<void> {
  const { root } = stage.parts.world.folders;
  await runCommand(['certificate', 'key', 'create', 'signer', '--folder', root]);
  const end = async (service: CutoverService): Promise<boolean> => {
    await acceptAll(stage.parts.operator, service);
    await confirmed(stage, service);
    const [file, key] = [join(root, `${service}.json`), join(root, 'signer.pub')];
    const { code, stdout, stderr } = await runCommand(['certificate', 'verify', file, '--key', key]);
    if (code !== 0) stage.parts.say(`${service}: ${stdout}${stderr}`);
    return code === 0;
  };
  const valid = await Promise.all(SERVICES.map(end));
  stage.areCertificatesValid = valid.every(Boolean);
}

/** What a person can answer for is accepted by name, except a lane without a proof or with a difference. */
async function acceptAll(operator: Operator, service: CutoverService): Promise<void> {
  const { completion } = await operator.endOf(service);
  for (const { met, accept } of completion) {
    const isTheirs = accept === 'foreign' || accept?.startsWith('answer:') === true;
    if (!met && isTheirs) await operator.change('complete', service, '--accept', accept);
  }
}

/** A comparison may change the facts between two steps. They are then looked at again. */
async function confirmed({ parts: { operator, world } }: Stage, service: CutoverService): Promise<void> {
  const { root } = world.folders;
  for (let attempt = 1; ; attempt += 1) {
    const { facts } = await operator.untilEnd(service, 'all but the backup and the approvals', (end) =>
      end.completion.every(({ met, need }) => met || need === 'final_backup' || need === 'two_approvals'),
    );
    for (const person of ['ann', 'ben'])
      await operator.run('complete', service, '--approve', facts, ...byPerson(person)).catch(() => undefined);
    const paths = {
      '--backup': join(root, `last-${service}-${attempt}`),
      '--key': join(root, 'signer.key'),
      '--out': join(root, `${service}.json`),
      '--config': world.configFile,
    };
    try {
      await operator.change('complete', service, '--confirm', ...Object.entries(paths).flat());
      return;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}
