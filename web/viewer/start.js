// What OHIF's own page does in inline scripts.
window.PUBLIC_URL = '/viewer/';
window.browserImportFunction = name => import(name);
