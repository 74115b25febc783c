// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title RewardVault: pays contributors what published Merkle roots say, and nobody else.
/// @notice A root commits to what each account has earned since the beginning (its cumulative amount), so a claim
/// pays the difference to what that account has claimed already, and an old proof is late but never wrong.
/// A root moves `Proposed -> (Disputed -> Void | Upheld) -> Final`; only final roots pay, and they pay for ever.
/// @dev Always true: totalClaimed <= finalTotal, and the balance covers owed() and a held bond.
/// The token must be a plain ERC-20: no fee on transfer, no rebasing.
contract RewardVault is AccessControl, Pausable {
    using SafeERC20 for IERC20;

    enum State {
        None,
        Proposed,
        Disputed,
        Void,
        Upheld,
        Final
    }

    /// @param root Merkle root over leaf(account, cumulative).
    /// @param logHash RFC 6962 tree hash of the episode log at `logSize`: the log's anchor in time.
    /// @param total The sum of all cumulative amounts below `root`.
    /// @param logSize The number of leaves in the episode log.
    /// @param activeAt Unix time in s: disputes end and finalizing begins.
    struct Root {
        bytes32 root;
        bytes32 logHash;
        uint128 total;
        uint64 logSize;
        uint48 activeAt;
        State state;
    }

    struct Payout {
        address account;
        uint256 cumulative;
        bytes32[] proof;
    }

    bytes32 public constant PUBLISHER_ROLE = keccak256("PUBLISHER_ROLE");
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    bytes32 public constant ARBITER_ROLE = keccak256("ARBITER_ROLE");

    /// @notice What is paid out, and what bonds are paid in.
    IERC20 public immutable token;
    /// @notice For how many seconds a proposed root can be disputed.
    uint48 public immutable delay;
    /// @notice What a disputer who is no guardian puts down.
    uint256 public immutable bond;

    /// @notice The total of the newest final root.
    uint128 public finalTotal;
    /// @notice What has been paid out since the beginning.
    uint128 public totalClaimed;
    /// @notice The log size of the newest final root.
    uint64 public finalLogSize;
    /// @notice Who disputed the newest disputed root.
    address public disputer;
    /// @notice The bond held while a root is disputed.
    uint256 public bondHeld;
    /// @notice Bonds lost since the beginning; they back pay and are never swept.
    uint256 public forfeited;
    /// @notice What each account has claimed since the beginning.
    mapping(address account => uint256) public claimed;

    Root[] private _roots;
    uint256 private _finalCount; // index of the newest final root, plus one

    event RootProposed(
        uint256 indexed index,
        bytes32 indexed root,
        uint128 total,
        bytes32 logHash,
        uint64 logSize,
        uint48 activeAt
    );
    event RootDisputed(uint256 indexed index, address indexed disputer, bytes32 reason, uint256 bond);
    event RootResolved(uint256 indexed index, address indexed arbiter, State state);
    event RootFinalized(uint256 indexed index, bytes32 indexed root, uint128 total);
    event Claimed(address indexed account, uint256 indexed index, uint256 amount, uint256 cumulative);
    event Swept(address indexed to, uint256 amount);

    error UnknownRoot(uint256 index, uint256 count);
    error WrongState(uint256 index, State expected, State actual);
    error RootPending(uint256 index);
    error EmptyRoot();
    error TotalFell(uint256 finalTotal, uint256 proposed);
    error LogShrank(uint64 finalLogSize, uint64 proposed);
    error Insolvent(uint256 owed, uint256 balance);
    error TooEarly(uint256 activeAt, uint256 time);
    error TooLate(uint256 activeAt, uint256 time);
    error InvalidProof(uint256 index, address account, uint256 cumulative);
    error NothingToClaim(address account, uint256 cumulative, uint256 claimed);
    error ExceedsTotal(uint256 finalTotal, uint256 claimed);
    error ExceedsSurplus(uint256 surplus, uint256 amount);
    error PublisherAndArbiter(address account);

    /// @param guardian May be zero: none until the admin names one. So may `arbiter`.
    constructor(
        IERC20 token_,
        uint48 delay_,
        uint256 bond_,
        address admin,
        address publisher,
        address guardian,
        address arbiter
    ) {
        token = token_;
        delay = delay_;
        bond = bond_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(PUBLISHER_ROLE, publisher);
        if (guardian != address(0)) _grantRole(GUARDIAN_ROLE, guardian);
        if (arbiter != address(0)) _grantRole(ARBITER_ROLE, arbiter);
    }

    // --- roots ---

    /// @notice Propose what everybody has earned since the beginning; it must be covered by the balance.
    function propose(
        bytes32 root,
        uint128 total,
        bytes32 logHash,
        uint64 logSize
    ) external onlyRole(PUBLISHER_ROLE) whenNotPaused returns (uint256 index) {
        if (root == 0) revert EmptyRoot();
        if (hasPending()) revert RootPending(_roots.length - 1);
        if (total < finalTotal) revert TotalFell(finalTotal, total);
        if (logSize < finalLogSize) revert LogShrank(finalLogSize, logSize);
        uint256 balance = token.balanceOf(address(this)); // no bond is held while no root is pending
        if (total - totalClaimed > balance) revert Insolvent(total - totalClaimed, balance);

        index = _roots.length;
        uint48 activeAt = uint48(block.timestamp) + delay;
        _roots.push(Root(root, logHash, total, logSize, activeAt, State.Proposed));
        emit RootProposed(index, root, total, logHash, logSize, activeAt);
    }

    /// @notice Stop a proposed root until the arbiter has looked; a guardian needs no bond, anyone else does.
    /// @param reason Hash of a published text.
    function dispute(uint256 index, bytes32 reason) external {
        Root storage disputed = _require(index, State.Proposed);
        if (block.timestamp >= disputed.activeAt) revert TooLate(disputed.activeAt, block.timestamp);

        uint256 held = hasRole(GUARDIAN_ROLE, msg.sender) ? 0 : bond;
        disputed.state = State.Disputed;
        disputer = msg.sender;
        bondHeld = held;
        if (held > 0) token.safeTransferFrom(msg.sender, address(this), held);
        emit RootDisputed(index, msg.sender, reason, held);
    }

    /// @notice Decide a dispute. The bond goes back where the root is void, and stays to back pay where it is upheld.
    function resolve(uint256 index, bool upheld) external onlyRole(ARBITER_ROLE) {
        Root storage disputed = _require(index, State.Disputed);

        uint256 held = bondHeld;
        bondHeld = 0;
        disputed.state = upheld ? State.Upheld : State.Void;
        if (upheld) forfeited += held;
        else if (held > 0) token.safeTransfer(disputer, held);
        emit RootResolved(index, msg.sender, disputed.state);
    }

    /// @notice Make a root payable once its delay has passed; anyone may.
    function finalize(uint256 index) external whenNotPaused {
        Root storage due = _at(index);
        if (due.state != State.Upheld) _require(index, State.Proposed);
        if (block.timestamp < due.activeAt) revert TooEarly(due.activeAt, block.timestamp);

        due.state = State.Final;
        finalTotal = due.total;
        finalLogSize = due.logSize;
        _finalCount = index + 1;
        emit RootFinalized(index, due.root, due.total);
    }

    // --- pay ---

    /// @notice Pay `account` what a final root owes it; anyone may call, only `account` is paid.
    function claim(
        uint256 index,
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256 amount) {
        amount = _pay(index, account, cumulative, proof);
        if (amount == 0) revert NothingToClaim(account, cumulative, claimed[account]);
    }

    /// @notice Pay many accounts; one that is owed nothing (somebody was faster) is passed over.
    function claimMany(uint256 index, Payout[] calldata payouts) external returns (uint256 amount) {
        for (uint256 i = 0; i < payouts.length; ++i) {
            amount += _pay(index, payouts[i].account, payouts[i].cumulative, payouts[i].proof);
        }
    }

    function _pay(
        uint256 index,
        address account,
        uint256 cumulative,
        bytes32[] calldata proof
    ) private returns (uint256 amount) {
        bytes32 root = _require(index, State.Final).root;
        if (!MerkleProof.verifyCalldata(proof, root, leaf(account, cumulative))) {
            revert InvalidProof(index, account, cumulative);
        }
        uint256 before = claimed[account];
        if (cumulative <= before) return 0;
        amount = cumulative - before;
        // A root that holds more than the total it was proposed with cannot pay more than that total.
        if (totalClaimed + amount > finalTotal) revert ExceedsTotal(finalTotal, totalClaimed + amount);

        claimed[account] = cumulative;
        totalClaimed += uint128(amount);
        token.safeTransfer(account, amount);
        emit Claimed(account, index, amount, cumulative);
    }

    // --- keepers ---

    /// @notice Stop new roots; final roots pay on.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
    }

    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    /// @notice Take out what nobody has earned.
    function sweep(address to, uint256 amount) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (amount > surplus()) revert ExceedsSurplus(surplus(), amount);
        token.safeTransfer(to, amount);
        emit Swept(to, amount);
    }

    /// @dev Whoever publishes never judges.
    function _grantRole(bytes32 role, address account) internal override returns (bool granted) {
        granted = super._grantRole(role, account);
        if (hasRole(PUBLISHER_ROLE, account) && hasRole(ARBITER_ROLE, account)) revert PublisherAndArbiter(account);
    }

    // --- views ---

    /// @notice The leaf of one account: hashed twice, and bound to this chain and this vault.
    function leaf(address account, uint256 cumulative) public view returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(block.chainid, address(this), account, cumulative))));
    }

    function rootCount() external view returns (uint256) {
        return _roots.length;
    }

    function rootAt(uint256 index) external view returns (Root memory) {
        return _at(index);
    }

    /// @notice The newest final root's index; `exists` is false before the first.
    function newestFinal() external view returns (bool exists, uint256 index) {
        exists = _finalCount > 0;
        index = exists ? _finalCount - 1 : 0;
    }

    /// @notice Whether the newest root still waits to become final or void.
    function hasPending() public view returns (bool) {
        if (_roots.length == 0) return false;
        State state = _roots[_roots.length - 1].state;
        return state != State.Final && state != State.Void;
    }

    /// @notice What is earned and unclaimed, a pending root included.
    function owed() public view returns (uint256) {
        return (hasPending() ? _roots[_roots.length - 1].total : finalTotal) - totalClaimed;
    }

    /// @notice What may be swept.
    function surplus() public view returns (uint256) {
        uint256 kept = owed() + bondHeld + forfeited;
        uint256 balance = token.balanceOf(address(this));
        return balance > kept ? balance - kept : 0;
    }

    function _at(uint256 index) private view returns (Root storage) {
        if (index >= _roots.length) revert UnknownRoot(index, _roots.length);
        return _roots[index];
    }

    function _require(uint256 index, State expected) private view returns (Root storage found) {
        found = _at(index);
        if (found.state != expected) revert WrongState(index, expected, found.state);
    }
}
