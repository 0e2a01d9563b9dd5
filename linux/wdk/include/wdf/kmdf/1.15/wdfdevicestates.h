/* The framework's PnP, power and power-policy state machines, and the callbacks that follow them. */
#ifndef WDF_DEVICE_STATES_H
#define WDF_DEVICE_STATES_H

typedef enum _WDF_DEVICE_STATE_FLAGS {
    WdfDevStateNP = 0x8000,
} WDF_DEVICE_STATE_FLAGS;

typedef enum _WDF_DEVICE_PNP_STATE {
    WdfDevStatePnpInvalid = 0,
    WdfDevStatePnpObjectCreated = 0x100,
    WdfDevStatePnpNull = 0x13a,
} WDF_DEVICE_PNP_STATE, *PWDF_DEVICE_PNP_STATE;

typedef enum _WDF_DEVICE_POWER_STATE {
    WdfDevStatePowerInvalid = 0,
    WdfDevStatePowerObjectCreated = 0x300,
    WdfDevStatePowerNull = 0x35d,
} WDF_DEVICE_POWER_STATE, *PWDF_DEVICE_POWER_STATE;

typedef enum _WDF_DEVICE_POWER_POLICY_STATE {
    WdfDevStatePwrPolInvalid = 0,
    WdfDevStatePwrPolObjectCreated = 0x500,
    WdfDevStatePwrPolNull = 0x599,
} WDF_DEVICE_POWER_POLICY_STATE, *PWDF_DEVICE_POWER_POLICY_STATE;

typedef enum _WDF_STATE_NOTIFICATION_TYPE {
    StateNotificationInvalid = 0x0,
    StateNotificationEnterState = 0x1,
    StateNotificationPostProcessState = 0x2,
    StateNotificationLeaveState = 0x4,
    StateNotificationAllStates = 0x7,
} WDF_STATE_NOTIFICATION_TYPE;

/* The three machines report a transition in the same shape, each with its own states. */
#define WDF_STATE_NOTIFICATION(State)      \
    WDF_STATE_NOTIFICATION_TYPE Type;      \
    union {                                \
        struct {                           \
            State CurrentState;            \
            State NewState;                \
        } EnterState;                      \
        struct {                           \
            State CurrentState;            \
        } PostProcessState;                \
        struct {                           \
            State CurrentState;            \
            State NewState;                \
        } LeaveState;                      \
    } Data

typedef struct _WDF_DEVICE_PNP_NOTIFICATION_DATA {
    WDF_STATE_NOTIFICATION(WDF_DEVICE_PNP_STATE);
} WDF_DEVICE_PNP_NOTIFICATION_DATA;
typedef const WDF_DEVICE_PNP_NOTIFICATION_DATA *PCWDF_DEVICE_PNP_NOTIFICATION_DATA;

typedef struct _WDF_DEVICE_POWER_NOTIFICATION_DATA {
    WDF_STATE_NOTIFICATION(WDF_DEVICE_POWER_STATE);
} WDF_DEVICE_POWER_NOTIFICATION_DATA;
typedef const WDF_DEVICE_POWER_NOTIFICATION_DATA *PCWDF_DEVICE_POWER_NOTIFICATION_DATA;

typedef struct _WDF_DEVICE_POWER_POLICY_NOTIFICATION_DATA {
    WDF_STATE_NOTIFICATION(WDF_DEVICE_POWER_POLICY_STATE);
} WDF_DEVICE_POWER_POLICY_NOTIFICATION_DATA;
typedef const WDF_DEVICE_POWER_POLICY_NOTIFICATION_DATA *PCWDF_DEVICE_POWER_POLICY_NOTIFICATION_DATA;

WDF_EVENT(VOID, WDF_DEVICE_PNP_STATE_CHANGE_NOTIFICATION, WDFDEVICE Device,
          PCWDF_DEVICE_PNP_NOTIFICATION_DATA NotificationData);
WDF_EVENT(VOID, WDF_DEVICE_POWER_STATE_CHANGE_NOTIFICATION, WDFDEVICE Device,
          PCWDF_DEVICE_POWER_NOTIFICATION_DATA NotificationData);
WDF_EVENT(VOID, WDF_DEVICE_POWER_POLICY_STATE_CHANGE_NOTIFICATION, WDFDEVICE Device,
          PCWDF_DEVICE_POWER_POLICY_NOTIFICATION_DATA NotificationData);

#endif
