import { pageHtml, sectionHtml } from '../report/render-html.ts';
import {
  code,
  column,
  count,
  counts,
  fact,
  facts,
  type Mark,
  mark,
  numbers,
  remark,
  type Section,
  section,
  tableOf,
  words,
} from '../views/document.ts';
import { counted } from '../views/figures.ts';
import { SCRATCH_WORDS } from '../words.ts';
import { html } from '../views/html.ts';
import {
  type Certificate,
  type CertifiedLane,
  faultsOf,
  fingerprintOf,
  type Statement,
} from './certificate.ts';

const DAY_SECONDS = 86_400;

/**
 * A certificate as one HTML file, for people. The signed JSON is what proves it.
 * @param signer the fingerprint of the key that the reader expects. Absent: the reader knows no key
 */
export function certificatePage(certificate: Certificate, signer?: string): string {
  const { statement } = certificate;
  const { service, completed_at: at, root } = statement;
  const state = signatureState(certificate, signer);
  const sections = [
    decisionSection(statement),
    lanesSection(statement),
    periodSection(statement),
    acceptedSection(statement),
    goneSection(statement),
    signatureSection(certificate, state),
  ];
  return pageHtml(
    {
      kind: 'certificate',
      title: `${service} is migrated`,
      subtitle: [
        `${counted(root.lanes, 'lane')} with ${counted(root.items, 'item')} · completed ${minuteOf(at)}`,
      ],
      verdict: VERDICTS[state],
    },
    html`${sections.map((part) => sectionHtml(part, html`<h2>${part.title}</h2>`))}`,
  );
}

function decisionSection({ completed_by: by, approvals, versions }: Statement): Section {
  return section(
    'Who decided',
    facts(
      fact('completed by', `${by.person}: ${by.reason}`),
      ...approvals.map(({ person, at }) => fact('approved by', `${person}, ${minuteOf(at)}`)),
      fact('Crossfade', versions.crossfade),
      fact('orchestrator', versions.orchestrator),
      fact('definition', code(versions.definition)),
    ),
  );
}

function lanesSection({ root, lanes, forgotten }: Statement): Section {
  return section(
    'What was compared',
    facts(
      fact('lanes', count(root.lanes)),
      fact('items', count(root.items)),
      fact('given up by a person', count(lanes.filter(({ given_up: isGivenUp }) => isGivenUp).length)),
      fact('items that legacy has forgotten', count(forgotten.items)),
      fact('root', code(root.digest)),
    ),
    remark(
      'The root is the SHA-256 over the canonical texts of all lanes, one a line, in the order of their names. Forgotten items are on the orchestrator and count in no difference.',
    ),
    { kind: 'more', title: 'Every lane', blocks: [lanesTable(lanes)] },
  );
}

function lanesTable(lanes: readonly CertifiedLane[]) {
  return tableOf(
    lanes,
    [
      words('lane', ({ lane }) => lane),
      counts('sequence', ({ sequence }) => sequence),
      counts('items', ({ items }) => items),
      column('last found equal', ({ equal_at: at, given_up: isGivenUp }) =>
        isGivenUp ? mark('given up', 'warn') : minuteOf(at),
      ),
      column('digest', ({ digest }) => (digest === null ? '' : code(digest))),
    ],
    { empty: 'The service had no lane.' },
  );
}

function periodSection({ read_only: period, backup }: Statement): Section {
  return section(
    'The time without a write to legacy',
    facts(
      fact('read-only since', minuteOf(period.since)),
      fact('without a foreign write since', minuteOf(period.clock_began_at)),
      fact('required', `${Number((period.required_seconds / DAY_SECONDS).toFixed(2))} days`),
      fact('foreign writers that restarted the time', count(period.clock_restarts)),
      fact('last backup', `${minuteOf(backup.made_at)}, in ${backup.folder}`),
      fact('restored and read back', `${minuteOf(backup.restored_at)}, ${counted(backup.lanes, 'lane')}`),
      fact('instance on the restored file', SCRATCH_WORDS[backup.scratch_instance]),
      fact('manifest of the backup', code(backup.manifest_sha256)),
    ),
  );
}

type Decision = Statement['accepted'][number];

function acceptedSection({ accepted, answers_without_legacy: answers }: Statement): Section {
  const table = (decisions: readonly Decision[], empty: string) =>
    tableOf(
      decisions,
      [
        words<Decision>('what', ({ subject }) => subject),
        words<Decision>('by', ({ person, reason }) => `${person}: ${reason}`),
        numbers<Decision>('when', ({ at }) => minuteOf(at)),
      ],
      { empty },
    );
  return section(
    'What persons answered for',
    table(accepted, 'No difference and no loss had to be accepted.'),
    table(answers, 'No request had to be refused that only legacy could answer.'),
  );
}

function goneSection({ no_longer_possible: gone }: Statement): Section {
  return section(
    'What is no longer possible',
    tableOf(gone, [words('since the completion', (what) => what)], { empty: 'Nothing.' }),
  );
}

/** What the signature proves to this reader. */
type SignatureState = 'changed' | 'unknown_key' | 'other_key' | 'verified';

function signatureState(certificate: Certificate, signer: string | undefined): SignatureState {
  if (faultsOf(certificate, undefined).length > 0) return 'changed';
  if (signer === undefined) return 'unknown_key';
  return fingerprintOf(certificate.signature.public_key) === signer ? 'verified' : 'other_key';
}

const VERDICTS: Readonly<Record<SignatureState, Mark>> = {
  verified: mark('✓ Legacy is no longer needed. The signature is verified', 'good'),
  unknown_key: mark('✓ Legacy is no longer needed', 'good'),
  other_key: mark('✗ Not signed with the expected key', 'bad'),
  changed: mark('✗ Not valid: the content was changed after it was signed', 'bad'),
};

const STATES: Readonly<Record<SignatureState, Mark>> = {
  verified: mark('verified: unchanged, and signed with the expected key', 'good'),
  unknown_key: mark('unchanged since it was signed, with a key that this page does not know', 'warn'),
  other_key: mark('unchanged, but signed with another key than the expected one', 'bad'),
  changed: mark('not valid: the content is not the one that was signed', 'bad'),
};

function signatureSection({ signature }: Certificate, state: SignatureState): Section {
  return section(
    'Signature',
    facts(
      fact('state', STATES[state]),
      fact('key', code(fingerprintOf(signature.public_key))),
      fact('algorithm', signature.algorithm),
      fact('signature', code(signature.value)),
    ),
    remark(
      'This page proves nothing by itself. Verify the JSON file with the public key of the signer: ',
      code('crossfade certificate verify FILE --key PUBLIC'),
    ),
  );
}

function minuteOf(iso: string | null): string {
  return iso === null ? '' : `${iso.slice(0, 16).replace('T', ' ')} UTC`;
}
