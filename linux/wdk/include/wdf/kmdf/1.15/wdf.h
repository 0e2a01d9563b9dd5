/*
 * The KMDF 1.15 interface: what a client needs to call the framework through its function table.
 *
 * Written from the published ABI. Declared are the types, and a `PFN_...` type for each function of the
 * families below; of the inline wrappers that C clients have, there are those that a driver here uses.
 */
#ifndef WDF_H
#define WDF_H

/* The table's symbol carries the version, so that objects built for two versions do not link. */
#define WdfFunctions WdfFunctions_01015

#ifdef __cplusplus
extern "C" {
#endif

typedef VOID (*WDFFUNC)(VOID);
extern const WDFFUNC *WdfFunctions;
extern WDFFUNC WdfDriverMiniportUnloadOverride;

#include "wdftypes.h"
#include "wdfglobals.h"
#include "wdffuncenum.h"
#include "wdfstatus.h"
#include "wdfverifier.h"

#include "wdfobject.h"
#include "wdfsync.h"
#include "wdfcore.h"
#include "wdfdriver.h"

#include "wdfmemory.h"
#include "wdfqueryinterface.h"
#include "wdffileobject.h"
#include "wdfrequest.h"
#include "wdfdevicestates.h"
#include "wdfdevicecallbacks.h"
#include "wdfdevice.h"
#include "wdfdeviceinit.h"
#include "wdffdo.h"
#include "wdfcontrol.h"
#include "wdfio.h"
#include "wdfiotarget.h"

#include "wdfdpc.h"
#include "wdftimer.h"
#include "wdfworkitem.h"

#include "wdfcollection.h"
#include "wdfstring.h"
#include "wdfregistry.h"

#ifndef __BINDGEN__
#include "wdfclient.h"
#endif

#ifdef __cplusplus
}
#endif

#endif
