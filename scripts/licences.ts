/**
 * The licences of what is bundled: MIT wants its notice in all copies, Apache-2.0 a copy of itself. So the texts of all
 * packages that a bundle has lines of are put beside it. Knows no bundler, only the files that went into a bundle.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The name of the file beside a bundle. */
export const NOTICES_FILE = 'THIRD-PARTY-NOTICES.txt';

/** How a package names its licence's file, its notice's, its copyright's. */
const TEXTS = /^(licen[cs]e|copying|notice)([-.].*)?$/i;

/** Packages that ship without the text of their licence: the text is in `licences/`, the copyright is what they say elsewhere. */
const WITHOUT_TEXT: readonly { readonly packages: RegExp; readonly license: string; readonly copyright: string }[] = [
  { packages: /^@aws-sdk\//, license: 'Apache-2.0', copyright: 'Copyright Amazon.com, Inc. or its affiliates.' },
  {
    packages: /^@aws-lambda-powertools\//,
    license: 'MIT-0',
    copyright: 'Copyright Amazon.com, Inc. or its affiliates. All Rights Reserved.',
  },
  {
    packages: /^@middy\/core$/,
    license: 'MIT',
    copyright: 'Copyright (c) 2017-2025 Luciano Mammino, will Farrell, and the Middy team',
  },
];

/** What is read of a package's package.json. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/**
 * @param inputs - the files that went into a bundle, relative to the root, as esbuild's metafile names them
 * @param root - where they are
 * @returns a text that names each package, with its version, and holds each licence once
 * @throws {Error} naming every package that has no licence text: it must not be shipped without
 */
export async function thirdPartyNotices(inputs: readonly string[], root: string): Promise<string> {
  const folders = [...new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined))].sort();
  const labelsByText = new Map<string, string[]>();
  const bare: string[] = [];
  for (const folder of folders) {
    const manifest = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as Manifest;
    const label = `${manifest.name} ${manifest.version}${manifest.license === undefined ? '' : ` (${manifest.license})`}`;
    const text =
      (await licenceFiles(join(root, folder))) ?? (await readmeLicence(join(root, folder))) ?? (await known(manifest));
    if (text === undefined) bare.push(label);
    else labelsByText.set(text, [...(labelsByText.get(text) ?? []), label]);
  }
  if (bare.length > 0)
    throw new Error(
      `These packages are bundled and have no licence text, so nothing was built: ${bare.join(', ')}. Find their text and add them to scripts/licences.ts, or do without them.`,
    );
  const parts = [...labelsByText].map(([text, labels]) => `${labels.join('\n')}\n\n${text}\n`);
  return `This program contains the following packages, each under the licence below its name.\n\n${parts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

/** The folder of the package that a file belongs to; undefined for a file of our own. */
function packageFolder(input: string): string | undefined {
  return /^.*(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0];
}

/** The package's own files. */
async function licenceFiles(folder: string): Promise<string | undefined> {
  const files = (await readdir(folder)).filter((file) => TEXTS.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  const text = texts.map((each) => each.replace(/\r\n?/g, '\n').trim()).join('\n\n');
  return text === '' ? undefined : text;
}

/** The section of its README that is the whole licence. */
async function readmeLicence(folder: string): Promise<string | undefined> {
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '');
  const section = /^#+ *licen[cs]e *\n([^]*?)(?=^#|$(?![^]))/im.exec(readme)?.[1]?.trim();
  return section?.includes('Permission is hereby granted') === true ? section : undefined;
}

/** A licence that is known by its name. */
async function known({ name, license }: Manifest): Promise<string | undefined> {
  const found = WITHOUT_TEXT.find((entry) => entry.packages.test(name) && entry.license === license);
  if (found === undefined) return undefined;
  const text = await readFile(new URL(`licences/${found.license}.txt`, import.meta.url), 'utf8');
  return `${found.copyright}\n\n${text.trim()}`;
}
