//! This family's part of the function table.

use super::dispatch::{WdfDeviceEnqueueRequest, WdfDeviceWdmDispatchPreprocessedIrp};
use super::{file, queue, request};
use crate::table::entries;

entries! {
    WdfDeviceWdmDispatchPreprocessedIrpTableIndex:
        PFN_WDFDEVICEWDMDISPATCHPREPROCESSEDIRP = WdfDeviceWdmDispatchPreprocessedIrp;
    WdfDeviceEnqueueRequestTableIndex: PFN_WDFDEVICEENQUEUEREQUEST = WdfDeviceEnqueueRequest;
    WdfDeviceGetFileObjectTableIndex: PFN_WDFDEVICEGETFILEOBJECT = file::WdfDeviceGetFileObject;
    WdfDeviceGetDefaultQueueTableIndex: PFN_WDFDEVICEGETDEFAULTQUEUE = queue::api::WdfDeviceGetDefaultQueue;
    WdfDeviceConfigureRequestDispatchingTableIndex:
        PFN_WDFDEVICECONFIGUREREQUESTDISPATCHING = queue::api::WdfDeviceConfigureRequestDispatching;

    WdfFileObjectGetFileNameTableIndex: PFN_WDFFILEOBJECTGETFILENAME = file::WdfFileObjectGetFileName;
    WdfFileObjectGetFlagsTableIndex: PFN_WDFFILEOBJECTGETFLAGS = file::WdfFileObjectGetFlags;
    WdfFileObjectGetDeviceTableIndex: PFN_WDFFILEOBJECTGETDEVICE = file::WdfFileObjectGetDevice;
    WdfFileObjectWdmGetFileObjectTableIndex:
        PFN_WDFFILEOBJECTWDMGETFILEOBJECT = file::WdfFileObjectWdmGetFileObject;

    WdfIoQueueCreateTableIndex: PFN_WDFIOQUEUECREATE = queue::api::WdfIoQueueCreate;
    WdfIoQueueGetStateTableIndex: PFN_WDFIOQUEUEGETSTATE = queue::api::WdfIoQueueGetState;
    WdfIoQueueStartTableIndex: PFN_WDFIOQUEUESTART = queue::api::WdfIoQueueStart;
    WdfIoQueueStopTableIndex: PFN_WDFIOQUEUESTOP = queue::api::WdfIoQueueStop;
    WdfIoQueueStopSynchronouslyTableIndex:
        PFN_WDFIOQUEUESTOPSYNCHRONOUSLY = queue::api::WdfIoQueueStopSynchronously;
    WdfIoQueueGetDeviceTableIndex: PFN_WDFIOQUEUEGETDEVICE = queue::api::WdfIoQueueGetDevice;
    WdfIoQueueRetrieveNextRequestTableIndex:
        PFN_WDFIOQUEUERETRIEVENEXTREQUEST = queue::api::WdfIoQueueRetrieveNextRequest;
    WdfIoQueueRetrieveRequestByFileObjectTableIndex:
        PFN_WDFIOQUEUERETRIEVEREQUESTBYFILEOBJECT = queue::api::WdfIoQueueRetrieveRequestByFileObject;
    WdfIoQueueFindRequestTableIndex: PFN_WDFIOQUEUEFINDREQUEST = queue::api::WdfIoQueueFindRequest;
    WdfIoQueueRetrieveFoundRequestTableIndex:
        PFN_WDFIOQUEUERETRIEVEFOUNDREQUEST = queue::api::WdfIoQueueRetrieveFoundRequest;
    WdfIoQueueDrainSynchronouslyTableIndex:
        PFN_WDFIOQUEUEDRAINSYNCHRONOUSLY = queue::api::WdfIoQueueDrainSynchronously;
    WdfIoQueueDrainTableIndex: PFN_WDFIOQUEUEDRAIN = queue::api::WdfIoQueueDrain;
    WdfIoQueuePurgeSynchronouslyTableIndex:
        PFN_WDFIOQUEUEPURGESYNCHRONOUSLY = queue::api::WdfIoQueuePurgeSynchronously;
    WdfIoQueuePurgeTableIndex: PFN_WDFIOQUEUEPURGE = queue::api::WdfIoQueuePurge;
    WdfIoQueueReadyNotifyTableIndex: PFN_WDFIOQUEUEREADYNOTIFY = queue::api::WdfIoQueueReadyNotify;
    WdfIoQueueStopAndPurgeTableIndex: PFN_WDFIOQUEUESTOPANDPURGE = queue::api::WdfIoQueueStopAndPurge;
    WdfIoQueueStopAndPurgeSynchronouslyTableIndex:
        PFN_WDFIOQUEUESTOPANDPURGESYNCHRONOUSLY = queue::api::WdfIoQueueStopAndPurgeSynchronously;

    WdfRequestGetStatusTableIndex: PFN_WDFREQUESTGETSTATUS = request::api::WdfRequestGetStatus;
    WdfRequestMarkCancelableTableIndex: PFN_WDFREQUESTMARKCANCELABLE = request::api::WdfRequestMarkCancelable;
    WdfRequestMarkCancelableExTableIndex:
        PFN_WDFREQUESTMARKCANCELABLEEX = request::api::WdfRequestMarkCancelableEx;
    WdfRequestUnmarkCancelableTableIndex:
        PFN_WDFREQUESTUNMARKCANCELABLE = request::api::WdfRequestUnmarkCancelable;
    WdfRequestIsCanceledTableIndex: PFN_WDFREQUESTISCANCELED = request::api::WdfRequestIsCanceled;
    WdfRequestIsFrom32BitProcessTableIndex:
        PFN_WDFREQUESTISFROM32BITPROCESS = request::api::WdfRequestIsFrom32BitProcess;
    WdfRequestIsReservedTableIndex: PFN_WDFREQUESTISRESERVED = request::api::WdfRequestIsReserved;
    WdfRequestCompleteTableIndex: PFN_WDFREQUESTCOMPLETE = request::api::WdfRequestComplete;
    WdfRequestCompleteWithPriorityBoostTableIndex:
        PFN_WDFREQUESTCOMPLETEWITHPRIORITYBOOST = request::api::WdfRequestCompleteWithPriorityBoost;
    WdfRequestCompleteWithInformationTableIndex:
        PFN_WDFREQUESTCOMPLETEWITHINFORMATION = request::api::WdfRequestCompleteWithInformation;
    WdfRequestGetParametersTableIndex: PFN_WDFREQUESTGETPARAMETERS = request::api::WdfRequestGetParameters;
    WdfRequestRetrieveInputMemoryTableIndex:
        PFN_WDFREQUESTRETRIEVEINPUTMEMORY = request::api::WdfRequestRetrieveInputMemory;
    WdfRequestRetrieveOutputMemoryTableIndex:
        PFN_WDFREQUESTRETRIEVEOUTPUTMEMORY = request::api::WdfRequestRetrieveOutputMemory;
    WdfRequestRetrieveInputBufferTableIndex:
        PFN_WDFREQUESTRETRIEVEINPUTBUFFER = request::api::WdfRequestRetrieveInputBuffer;
    WdfRequestRetrieveOutputBufferTableIndex:
        PFN_WDFREQUESTRETRIEVEOUTPUTBUFFER = request::api::WdfRequestRetrieveOutputBuffer;
    WdfRequestRetrieveInputWdmMdlTableIndex:
        PFN_WDFREQUESTRETRIEVEINPUTWDMMDL = request::api::WdfRequestRetrieveInputWdmMdl;
    WdfRequestRetrieveOutputWdmMdlTableIndex:
        PFN_WDFREQUESTRETRIEVEOUTPUTWDMMDL = request::api::WdfRequestRetrieveOutputWdmMdl;
    WdfRequestRetrieveUnsafeUserInputBufferTableIndex:
        PFN_WDFREQUESTRETRIEVEUNSAFEUSERINPUTBUFFER = request::api::WdfRequestRetrieveUnsafeUserInputBuffer;
    WdfRequestRetrieveUnsafeUserOutputBufferTableIndex:
        PFN_WDFREQUESTRETRIEVEUNSAFEUSEROUTPUTBUFFER = request::api::WdfRequestRetrieveUnsafeUserOutputBuffer;
    WdfRequestSetInformationTableIndex: PFN_WDFREQUESTSETINFORMATION = request::api::WdfRequestSetInformation;
    WdfRequestGetInformationTableIndex: PFN_WDFREQUESTGETINFORMATION = request::api::WdfRequestGetInformation;
    WdfRequestGetFileObjectTableIndex: PFN_WDFREQUESTGETFILEOBJECT = request::api::WdfRequestGetFileObject;
    WdfRequestGetRequestorModeTableIndex:
        PFN_WDFREQUESTGETREQUESTORMODE = request::api::WdfRequestGetRequestorMode;
    WdfRequestForwardToIoQueueTableIndex:
        PFN_WDFREQUESTFORWARDTOIOQUEUE = request::api::WdfRequestForwardToIoQueue;
    WdfRequestGetIoQueueTableIndex: PFN_WDFREQUESTGETIOQUEUE = request::api::WdfRequestGetIoQueue;
    WdfRequestRequeueTableIndex: PFN_WDFREQUESTREQUEUE = request::api::WdfRequestRequeue;
    WdfRequestStopAcknowledgeTableIndex:
        PFN_WDFREQUESTSTOPACKNOWLEDGE = request::api::WdfRequestStopAcknowledge;
    WdfRequestWdmGetIrpTableIndex: PFN_WDFREQUESTWDMGETIRP = request::api::WdfRequestWdmGetIrp;
}
