import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

/**
 * X.509 certificates, of which Node reads all sorts and makes none. The few fields that a TLS client looks at are written out
 * here in DER: the packages that can do more are larger than all that these tests need otherwise.
 */
export interface CertificateFields {
  /** Common name, and the IP address or DNS name that it is for. */
  readonly host: string;
  /** Who signs it. @defaultValue it signs itself */
  readonly issuer?: Identity;
  /** Days from now on. @defaultValue from yesterday until tomorrow */
  readonly days?: readonly [from: number, to: number];
  /** It may sign others. */
  readonly isAuthority?: boolean;
  /** @defaultValue 'server' */
  readonly purpose?: 'server' | 'client';
}

/** A certificate and its key, as PEM. */
export interface Identity {
  readonly host: string;
  readonly cert: string;
  readonly key: string;
}

const dayMs = 86_400_000;

/** A tag, a length, and what is in it. */
function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const octets = (content: Uint8Array): Buffer => der(0x04, content);
const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.from([0]), content);
const yes = der(0x01, Buffer.from([255]));

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
const commonName = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
const time = (days: number): Buffer => {
  const at = new Date(Date.now() + days * dayMs).toISOString().replace(/^..|[-:T]|\.\d+/g, '');
  return der(0x17, Buffer.from(at));
};
const extension = (id: string, content: Uint8Array): Buffer => sequence(oid(id), octets(content));

let serial = 0;

export function certificate({
  host,
  issuer,
  days = [-1, 1],
  isAuthority = false,
  purpose = 'server',
}: CertificateFields): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const address = /^[\d.]+$/.test(host) ? Buffer.from(host.split('.').map(Number)) : undefined;
  const names = address ? der(0x87, address) : der(0x82, Buffer.from(host));
  const extensions = [
    extension('551d11', sequence(names)), // subjectAltName
    extension('551d13', isAuthority ? sequence(yes) : sequence()), // basicConstraints
    extension('551d25', sequence(oid(purpose === 'server' ? '2b06010505070301' : '2b06010505070302'))), // extKeyUsage
  ];
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([++serial])),
    ecdsaWithSha256,
    commonName(issuer?.host ?? host),
    sequence(time(days[0]), time(days[1])),
    commonName(host),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signer: KeyObject | string = issuer?.key ?? privateKey;
  const signed = sequence(toBeSigned, ecdsaWithSha256, bits(sign('sha256', toBeSigned, signer)));
  const lines = signed.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return { host, cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`, key };
}
