// How OHIF is set up for Hilum: everything from this origin, nothing asked of
// the person before an AI result is shown over the images it was made from.

/** The study's segmentation is opened first, over its images, unless the
 *  address names a series. */
function openedFirst(params) {
  const named = [...params.keys()].some(name => /^initial(series|sop)instanceuid$/i.test(name));
  return named ? undefined : displaySet => displaySet.Modality === 'SEG';
}

/** Window Width (0028,1051) is at least 1 (PS3.3 C.11.2.1.2); real images carry
 *  0. Without a window OHIF takes the range of the pixels. */
function forgetEmptyWindows(displaySets) {
  for (const instance of displaySets.flatMap(displaySet => displaySet.instances ?? [])) {
    const widths = [instance.WindowWidth].flat();
    if (widths.some(width => width !== undefined && !(Number(width) >= 1))) {
      delete instance.WindowWidth;
      delete instance.WindowCenter;
    }
  }
}

const hilum = {
  id: 'hilum',
  onModeEnter({ servicesManager }) {
    const { displaySetService, hangingProtocolService } = servicesManager.services;
    displaySetService.subscribe(displaySetService.EVENTS.DISPLAY_SETS_ADDED, ({ displaySetsAdded }) =>
      forgetEmptyWindows(displaySetsAdded),
    );
    const first = openedFirst(new URLSearchParams(window.location.search));
    if (first) hangingProtocolService.addCustomAttribute('isDisplaySetFromUrl', 'Opened first', first);
  },
};

/** Where the person began: OHIF shows a page of its own when it is refused. */
const began = window.location.pathname + window.location.search;

/** Whoever is signed out signs in on the application's page, and comes back here. */
function refused({ status }) {
  console.warn(`The server answered ${status}`);
  if (status !== 401) return;
  window.location.assign(`/sign-in?return_to=${encodeURIComponent(began)}`);
}

function logo(React) {
  const style = { display: 'flex', alignItems: 'center', gap: '0.75rem', color: '#fff', textDecoration: 'none' };
  // In two lines: in one it would lie under the tools of a window 1024 pixels wide.
  const notice = { width: '9.5rem', fontSize: '0.72rem', lineHeight: 1.2, color: '#f0bd62' };
  return React.createElement(
    'a', { href: '/', style, title: 'Back to the worklist' },
    React.createElement('strong', { style: { fontSize: '1.1rem' } }, 'Hilum'),
    React.createElement('span', { style: notice }, 'AI results: research only, not for clinical use'),
  );
}

window.config = {
  name: 'hilum',
  routerBasename: '/viewer',
  extensions: [hilum],
  modes: [],
  customizationService: [{ 'ohif.tours': { $set: [] } }],
  whiteLabeling: { createLogoComponentFn: logo },
  httpErrorHandler: refused,
  showStudyList: true,
  maxNumberOfWebWorkers: 3,
  showWarningMessageForCrossOrigin: true,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  groupEnabledModesFirst: true,
  disableConfirmationPrompts: true,
  investigationalUseDialog: { option: 'never' },
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  showErrorDetails: 'production',
  defaultDataSourceName: 'hilum',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'hilum',
      configuration: {
        friendlyName: 'Hilum',
        name: 'hilum',
        qidoRoot: '/dicomweb',
        wadoRoot: '/dicomweb',
        qidoSupportsIncludeField: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        dicomUploadEnabled: false,
        singlepart: '',
        bulkDataURI: { enabled: true },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
};
