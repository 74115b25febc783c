// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title ArmToken: a plain ERC-20 of fixed supply, for the embedded chain and for tests.
/// @notice It is worth nothing. A public deployment pays in a token that already has holders.
contract ArmToken is ERC20 {
    /// @param holder Receives the whole supply.
    /// @param supply In the smallest unit, 10^-18 ARM.
    constructor(address holder, uint256 supply) ERC20("armshare test token", "ARM") {
        _mint(holder, supply);
    }
}
