import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  canonicalText,
  type CertifiedLane,
  faultsOf,
  parseCertificate,
  rootOf,
  signCertificate,
  type Statement,
} from '../../../../src/operator/certificate/certificate.ts';
import { certificatePage } from '../../../../src/operator/certificate/certificate-page.ts';

const AT = '2026-11-23T12:00:00.000Z';

function keyPair(): { readonly secret: string; readonly open: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    secret: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    open: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

const LANES: readonly CertifiedLane[] = ['b', 'a', '<i>é</i>'].map((owner, index) => ({
  lane: `session-memory/${owner}`,
  sequence: index + 3,
  items: index,
  digest: `${index}`.repeat(32),
  equal_at: AT,
  given_up: false,
}));

function statement(more: Partial<Statement> = {}): Statement {
  return {
    format: 'crossfade-certificate-1',
    service: 'session-memory',
    completed_at: AT,
    completed_by: { person: 'ada', reason: 'two weeks are over' },
    approvals: ['ada', 'grace'].map((person) => ({ person, at: AT, facts: '0'.repeat(64) })),
    versions: { crossfade: '0.1.0', definition: 'd', orchestrator: '0.1.0' },
    read_only: { since: AT, clock_began_at: AT, required_seconds: 14 * 86_400, clock_restarts: 0 },
    root: rootOf(LANES),
    lanes: LANES,
    forgotten: { items: 0, lanes: 0 },
    backup: {
      folder: '/backups/1',
      made_at: AT,
      manifest_sha256: '1'.repeat(64),
      lanes: 3,
      items: 3,
      restored_at: AT,
      scratch_instance: 'not_configured',
    },
    accepted: [],
    answers_without_legacy: [],
    no_longer_possible: ['a way back to legacy'],
    ...more,
  };
}

describe('a certificate', () => {
  const { secret, open } = keyPair();

  test('that was printed and read again is valid with the key of its signer', () => {
    const printed = JSON.stringify(signCertificate(statement(), secret), undefined, 2);
    expect(faultsOf(parseCertificate(printed), open)).toEqual([]);
    expect(faultsOf(parseCertificate(printed), undefined)).toEqual([]);
  });

  test('whose members have another order is the same', () => {
    const { statement: said, signature } = signCertificate(statement(), secret);
    const turned = Object.fromEntries(Object.entries(said).toReversed());
    expect(faultsOf(parseCertificate(JSON.stringify({ statement: turned, signature })), open)).toEqual([]);
  });

  test('that was changed by one character is not valid', () => {
    const printed = JSON.stringify(signCertificate(statement(), secret));
    expect(faultsOf(parseCertificate(printed.replace('"grace"', '"grale"')), open)).toEqual(['changed']);
  });

  test('of another key is unchanged without a key, and refused with one', () => {
    const forged = signCertificate(statement(), keyPair().secret);
    expect(faultsOf(forged, undefined)).toEqual([]);
    expect(faultsOf(forged, open)).toEqual(['other_key']);
  });

  test('that names its signer but was signed by another key is not valid', () => {
    const forged = signCertificate(statement(), keyPair().secret);
    const { signature } = signCertificate(statement(), secret);
    const claimed = { ...forged.signature, public_key: signature.public_key };
    expect(faultsOf({ ...forged, signature: claimed }, open)).toEqual(['changed']);
  });

  test('that leaves a lane out has a root that shows it', () => {
    const short = statement({ lanes: LANES.slice(1) });
    expect(faultsOf(signCertificate(short, secret), open)).toEqual(['wrong_root']);
  });

  test.each([
    ['{', 'it is not JSON'],
    ['{}', 'it is not a certificate'],
    [JSON.stringify({ ...signCertificate(statement(), secret), more: 1 }), 'it is not a certificate'],
  ])('of another form is refused (%#)', (text, says) => {
    expect(() => parseCertificate(text)).toThrow(says);
  });

  test('is not signed with a key of another kind, which is not quoted', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    for (const wrong of [pem, 'secret'])
      expect(() => signCertificate(statement(), wrong)).toThrow(
        'not an Ed25519 private key in PEM form: create a pair with crossfade certificate key create',
      );
  });

  test('has a page without scripts, on which names are text', () => {
    const page = certificatePage(signCertificate(statement(), secret));
    expect(page).toContain('session-memory is migrated');
    expect(page).toContain(rootOf(LANES).digest);
    expect(page).toContain('&lt;i&gt;é&lt;/i&gt;');
    expect(page).not.toMatch(/<script|<i>/);
  });
});

test('the root does not depend on the order of the lanes, but on each of their facts', () => {
  expect(rootOf(LANES.toReversed())).toEqual(rootOf(LANES));
  const [first, ...others] = LANES as [CertifiedLane, ...CertifiedLane[]];
  for (const change of [{ sequence: 9 }, { items: 9 }, { digest: 'x' }, { given_up: true }])
    expect(rootOf([{ ...first, ...change }, ...others]).digest).not.toBe(rootOf(LANES).digest);
});

// RFC 8785, section 3.2.3, and its rule for numbers.
test('the canonical text is that of RFC 8785', () => {
  const value = {
    '\u20ac': 'Euro',
    '\r': 'CR',
    '1': 'One',
    '\u0080': 'Control',
    '\ud83d\ude00': 'Smiley',
    é: [],
  };
  expect(canonicalText(value)).toBe(
    '{"\\r":"CR","1":"One","\u0080":"Control","é":[],"€":"Euro","😀":"Smiley"}',
  );
  expect(canonicalText([1e21, 0.000001, -0, 1e-7, null, true, 'a"\u000f'])).toBe(
    '[1e+21,0.000001,0,1e-7,null,true,"a\\"\\u000f"]',
  );
});
